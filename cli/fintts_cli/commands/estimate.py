"""`fintts estimate`: the bill before the run."""

from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.commands.options import (
    Budget,
    Config,
    Gpus,
    HourlyRate,
    Infra,
    Json,
    Quiet,
    S3EndpointUrl,
    Store,
)

if TYPE_CHECKING:
    from fintts_cli.terminal import Terminal
    from fintts_cost.bill import Estimate


def estimate(
    samples: Annotated[
        int | None, typer.Option(metavar="N", help="Utterances to train on.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", help="Utterances in a micro-batch.")
    ] = None,
    gradient_accumulation: Annotated[
        int | None, typer.Option(metavar="N", help="Micro-batches in a step.")
    ] = None,
    max_steps: Annotated[int | None, typer.Option(metavar="N", help="The last step.")] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Where it is expected to stop.")
    ] = None,
    seconds_per_step: Annotated[
        float | None, typer.Option(metavar="S", help="Without it measured or forecast.")
    ] = None,
    validation_every: Annotated[
        int | None, typer.Option(metavar="N", help="Steps between validation checks.")
    ] = None,
    seconds_per_validation: Annotated[
        float | None, typer.Option(metavar="S", help="Of one check.")
    ] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(metavar="N", help="Steps between checkpoints.")
    ] = None,
    checkpoint_bytes: Annotated[
        int | None, typer.Option(metavar="N", help="Of one checkpoint.")
    ] = None,
    keep_last: Annotated[
        int | None, typer.Option(metavar="N", help="Checkpoints that stay.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(metavar="N", help="Checks without improvement before it stops.")
    ] = None,
    hourly_rate: HourlyRate = None,
    setup_seconds: Annotated[
        float | None, typer.Option(metavar="S", help="Before the first step.")
    ] = None,
    teardown_seconds: Annotated[
        float | None, typer.Option(metavar="S", help="After the last step.")
    ] = None,
    reference_run: Annotated[
        bool, typer.Option("--reference-run", help="A run that was measured: 2,800 steps, $5.32.")
    ] = False,
    gpus: Gpus = None,
    infra: Infra = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    budget: Budget = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what the run will take and cost.

    Offline, and before anything is rented. What is not given by an option comes from fintts.yaml,
    from earlier runs, or from a forecast; each figure says from where.
    """
    from fintts_cli.terminal import Terminal

    terminal = Terminal(json=json, quiet=quiet)
    changes: dict[str, object] = {
        "samples": samples,
        "batch_size": batch_size,
        "gradient_accumulation": gradient_accumulation,
        "max_steps": max_steps,
        "steps": steps,
        "seconds_per_step": seconds_per_step,
        "validation_every": validation_every,
        "seconds_per_validation": seconds_per_validation,
        "checkpoint_every": checkpoint_every,
        "checkpoint_bytes": checkpoint_bytes,
        "keep_last": keep_last,
        "patience": patience,
        "hourly_rate_usd": hourly_rate,
        "setup_seconds": setup_seconds,
        "teardown_seconds": teardown_seconds,
    }
    if reference_run:
        shown = _reference(changes, budget)
    else:
        others: dict[str, object] = {
            "gpus": gpus,
            "infra": infra,
            "store": store,
            "s3_endpoint_url": s3_endpoint_url,
            "budget_usd": budget,
        }
        shown = _configured(terminal, changes, others, config)
    _show(terminal, shown)
    _refuse_over_budget(shown)


KEYS = {
    "batch_size": "training.batch_size",
    "gradient_accumulation": "training.gradient_accumulation",
    "max_steps": "training.max_steps",
    "steps": "forecast.stop_step",
    "seconds_per_step": "forecast.seconds_per_step",
    "validation_every": "validation.every",
    "seconds_per_validation": "forecast.seconds_per_validation",
    "checkpoint_every": "checkpoints.every",
    "checkpoint_bytes": "forecast.checkpoint_bytes",
    "keep_last": "checkpoints.keep_last",
    "patience": "early_stopping.patience",
    "hourly_rate_usd": "hourly_rate_usd",
    "setup_seconds": "forecast.setup_seconds",
    "teardown_seconds": "forecast.teardown_seconds",
}
"""Option of this command → its place in fintts.yaml; --samples has none: there the data count."""


@dataclass(frozen=True)
class Shown:
    """An estimate with what is said around it."""

    estimate: "Estimate"
    title: str
    notes: tuple[str, ...]
    budget_usd: Decimal | None


def _reference(changes: dict[str, object], budget_usd: Decimal | None) -> Shown:
    """The measured run, with whatever else was typed put in its place."""
    from fintts_cost.bill import EstimateInput, estimate
    from fintts_cost.reference_notes import reference_notes
    from fintts_cost.reference_run import REFERENCE_RUN

    profile = {part.name: getattr(REFERENCE_RUN, part.name) for part in fields(REFERENCE_RUN)}
    profile.update({name: value for name, value in changes.items() if value is not None})
    made = estimate(EstimateInput(**profile))
    return Shown(made, "The reference run, as it was measured", reference_notes(), budget_usd)


def _configured(
    terminal: "Terminal",
    changes: dict[str, object],
    others: dict[str, object],
    config: Path | None,
) -> Shown:
    """The run that fintts.yaml and the options describe."""
    from fintts_cli import wiring
    from fintts_cli.gpu_choices import choices_of

    typed = {KEYS[name]: value for name, value in changes.items() if name in KEYS}
    found = wiring.read_sources(terminal, typed | others, config)
    found = wiring.with_base_model(terminal, found, may_download=False)
    samples = changes["samples"]
    counted = samples if isinstance(samples, int) else None
    each = choices_of(found, wiring.price_snapshot, counted)
    cheapest = each.cheapest
    title = "The run as configured"
    if len(each.runs) > 1:
        title += f", on {cheapest.gpus}, where it costs least"
    notes = (*cheapest.run.notes, *map(str, each.runs[1:]), *each.missing)
    return Shown(cheapest.run.estimate, title, notes, found.settings.budget_usd)


def _show(terminal: "Terminal", shown: Shown) -> None:
    if terminal.json:
        terminal.document(shown.estimate.to_json())
        return
    from fintts_cli.views.estimate import estimate_text

    terminal.data(estimate_text(shown.estimate, title=shown.title, notes=shown.notes))


def _refuse_over_budget(shown: Shown) -> None:
    """Raises OverBudget, after the bill has been shown."""
    if shown.budget_usd is None:
        return
    from fintts_cost.plan import refuse_over_budget

    refuse_over_budget(shown.estimate, shown.budget_usd)
