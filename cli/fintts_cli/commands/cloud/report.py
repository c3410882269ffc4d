"""`fintts cloud report`: compares estimate and actual."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.commands.named_run import find_runs, pick_run
from fintts_cli.commands.opening import open_workplace
from fintts_cli.commands.options import Config, Json, Quiet, Run, S3EndpointUrl, Store
from fintts_cli.commands.page_file import Html, write_page
from fintts_cli.errors import CloudError, UsageProblem
from fintts_cli.runs.clock import warn_of_wrong_clock
from fintts_cli.runs.instances.requested import instances_of
from fintts_cli.runs.report.read import read_report
from fintts_cli.speech.stored import heard_in
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.html.pages import report_page
from fintts_cli.views.report.text import render_report
from fintts_store.errors import StoreError, StoreUnreachable
from fintts_store.network.patience import IMPATIENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_cli.runs.report.report import RunReport
    from fintts_cli.speech.stored import Heard
    from fintts_store.store import Store as RunStore

LEAST_REFRESH_SECONDS = 2


def report(
    run: Run = None,
    html: Html = None,
    refresh: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS",
            min=LEAST_REFRESH_SECONDS,
            help="With --html: rewrite the page this often until the run ends; an open page "
            "reloads itself.",
        ),
    ] = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare estimate and actual.

    Shows each phase in time and money, the forecasts during the run, the loss curve, the validation
    checks, the early-stopping rule, the checkpoints and the launches.
    """
    terminal = Terminal(json=json, quiet=quiet)
    if refresh is not None and html is None:
        raise UsageProblem("--refresh needs a page to rewrite", "add --html FILE")
    here = open_workplace()
    runs = find_runs(
        terminal, here, run, config, IMPATIENT, store=store, s3_endpoint_url=s3_endpoint_url
    )
    name = pick_run(runs, run)
    skew = warn_of_wrong_clock(runs, terminal.warn)

    parts: dict[str, bytes] = {}

    def read(warn: "Callable[[str, str], None]" = terminal.warn) -> "RunReport":
        instance_of, now = instances_of(here), datetime.now(UTC)
        return read_report(runs, name, instance_of, now, warn, skew=skew, parts=parts)

    made = read()
    if html is not None:
        made = _write_pages(terminal, html, made, read, refresh, lambda one: _heard(runs, one))
    if json:
        terminal.document(made.to_json())
    elif html is None:
        terminal.data(render_report(made))


def _heard(runs: "RunStore", report: "RunReport") -> "tuple[Heard, ...]":
    """The samples for the page of a run; none if they cannot be read."""
    try:
        return heard_in(runs, report.view.run, report.view.best_step)
    except StoreError:
        return ()


def _write_pages(
    terminal: Terminal,
    path: Path,
    made: "RunReport",
    read: "Callable[[Callable[[str, str], None]], RunReport]",
    refresh: int | None,
    hear: "Callable[[RunReport], tuple[Heard, ...]]",
) -> "RunReport":
    """Writes the page; with `refresh`, repeatedly until the run ends or Ctrl-C."""
    with suppress(KeyboardInterrupt):
        while refresh is not None and not made.view.has_ended:
            write_page(path, report_page(made, refresh))
            time.sleep(refresh)
            try:
                made = read(lambda _sentence, _hint: None)  # the first reading has warned
            except (CloudError, StoreUnreachable) as error:
                terminal.warn(f"{error.message}; trying again in {refresh} s")
    write_page(path, report_page(made, heard=hear(made)))
    terminal.say(f"wrote {path}")
    return made
