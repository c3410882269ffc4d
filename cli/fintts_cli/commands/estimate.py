"""`fintts estimate`: the bill before the run."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from fintts_cli.commands.options import (
    BatchSize,
    Budget,
    CheckpointBytes,
    CheckpointEvery,
    Config,
    Gpus,
    GradientAccumulation,
    HourlyRate,
    Infra,
    Json,
    KeepLast,
    MaxSteps,
    Patience,
    Quiet,
    S3EndpointUrl,
    SecondsPerStep,
    SecondsPerValidation,
    SetupSeconds,
    Steps,
    Store,
    TeardownSeconds,
    ValidationEvery,
)
from fintts_cli.estimate.shown import Shown
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.estimate.text import estimate_text
from fintts_cli.views.prices.choices import choices_table
from fintts_cost.plan.over_budget import refuse_over_budget
from fintts_cost.prices.age import old_list


def estimate(
    samples: Annotated[
        int | None, typer.Option(metavar="N", help="Number of utterances to train on.")
    ] = None,
    batch_size: BatchSize = None,
    gradient_accumulation: GradientAccumulation = None,
    max_steps: MaxSteps = None,
    steps: Steps = None,
    seconds_per_step: SecondsPerStep = None,
    validation_every: ValidationEvery = None,
    seconds_per_validation: SecondsPerValidation = None,
    checkpoint_every: CheckpointEvery = None,
    checkpoint_bytes: CheckpointBytes = None,
    keep_last: KeepLast = None,
    patience: Patience = None,
    hourly_rate: HourlyRate = None,
    setup_seconds: SetupSeconds = None,
    teardown_seconds: TeardownSeconds = None,
    reference_run: Annotated[
        bool, typer.Option("--reference-run", help="Show a measured run: 2,800 steps, $5.32.")
    ] = False,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Time a few training steps on this machine again."),
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how each figure is calculated.")
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
    """Estimate time and cost of the run.

    Works offline and rents nothing. The time of a step is the one that you give, or a range from
    your earlier runs or from the GPU's data sheet. The last line sums up what you need to decide.
    """
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
    # Each of the two needs what takes longer to load than the other takes in all.
    if reference_run:
        from fintts_cli.commands.reference import reference_run_as_changed

        shown = reference_run_as_changed(changes, budget)
    else:
        others: dict[str, object] = {
            "gpus": gpus,
            "infra": infra,
            "store": store,
            "s3_endpoint_url": s3_endpoint_url,
            "budget_usd": budget,
        }
        from fintts_cli.commands.configured import configured_run

        shown = configured_run(terminal, changes, others, config, measure=measure)
    _show(terminal, shown, explain=explain or reference_run)
    _warn_of_old_prices(terminal, shown)
    _refuse_over_budget(shown)


def _show(terminal: Terminal, shown: Shown, *, explain: bool) -> None:
    if terminal.json:
        terminal.document(shown.document())
        return

    text = estimate_text(
        shown.candidate,
        title=shown.title,
        notes=shown.notes,
        budget_usd=shown.budget_usd,
        extras=shown.extras,
        choices=choices_table((shown.candidate, *shown.others), shown.budget_usd),
        plan=shown.plan,
        other_kind=shown.other_kind,
        now=shown.now,
        is_reference=shown.is_reference,
        explain=explain,
    )
    terminal.data(text)


def _warn_of_old_prices(terminal: Terminal, shown: Shown) -> None:
    as_of = shown.estimate.expected.price.as_of
    if as_of is None:
        return

    if sentence := old_list(as_of, datetime.now(UTC).date()):
        terminal.warn(sentence, "`fintts cloud offers` asks SkyPilot, if it is installed")


def _refuse_over_budget(shown: Shown) -> None:
    """Raises OverBudget, after the bill was shown."""
    if shown.budget_usd is None:
        return

    refuse_over_budget(shown.estimate, shown.budget_usd)
