"""`fintts doctor`: shows what a launch still needs, and how to get it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.commands.opening import (
    open_workplace,
    read_sources,
    with_base_model,
    with_recogniser,
)
from fintts_cli.commands.options import (
    Budget,
    Gpus,
    HourlyRate,
    Infra,
    Json,
    Quiet,
    S3EndpointUrl,
    Spot,
    Store,
)
from fintts_cli.doctor import LONGEST_NAME, Doctor, refuse
from fintts_cli.settings.cross_checks import refuse_senseless
from fintts_cli.settings.facts import Facts
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.checks.doctor import examination_document, render_settings, settings_document
from fintts_cli.views.checks.outcomes import hint_lines, outcome_line
from fintts_store.probes.probes import Verdict

if TYPE_CHECKING:
    from fintts_store.probes.probes import Outcome


def doctor(
    show_settings: Annotated[
        bool,
        typer.Option("--config", help="Show each setting and its origin instead."),
    ] = False,
    gpus: Gpus = None,
    infra: Infra = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    spot: Spot = None,
    budget: Budget = None,
    hourly_rate: HourlyRate = None,
    notify: Annotated[
        bool,
        typer.Option("--notify", help="Also send a test notification to each URL of `notify`."),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a launch still needs.

    Checks data, base model, store, disk, GPU and clouds, and says how to get what is missing.
    Exits with 1 if `fintts cloud launch` with these options would fail. Uploads nothing and rents
    nothing; probes the store with a few small files. FINTTS_CONFIG names another project file.
    """
    terminal = Terminal(json=json, quiet=quiet)
    options: dict[str, object] = {
        "gpus": gpus,
        "infra": infra,
        "store": store,
        "s3_endpoint_url": s3_endpoint_url,
        "spot": spot,
        "budget_usd": budget,
        "hourly_rate_usd": hourly_rate,
    }
    found = read_sources(terminal, options, None)
    if not show_settings:
        found = with_base_model(terminal, found, may_download=False)
        found = with_recogniser(terminal, found, may_download=False)
        _examine(terminal, Doctor(open_workplace, found, datetime.now(UTC), tries_notify=notify))
        return
    if json:
        terminal.document(settings_document(found))
    else:
        terminal.data(render_settings(found))
    for sentence in refuse_senseless(Facts(found.settings)):
        terminal.warn(sentence)


def _examine(terminal: Terminal, doctor: Doctor) -> None:
    """Shows each finding at once: some take seconds."""
    outcomes: list[Outcome] = []
    verdicts = max(map(len, Verdict))
    for outcome in doctor.examine():
        outcomes.append(outcome)
        if not terminal.json:
            terminal.data(outcome_line(outcome, LONGEST_NAME, verdicts))
    if terminal.json:
        terminal.document(examination_document(outcomes))
    else:
        terminal.data("\n".join(hint_lines(outcomes)))
    refuse(outcomes)
