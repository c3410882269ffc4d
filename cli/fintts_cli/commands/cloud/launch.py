"""`fintts cloud launch`: estimate, confirm, launch, follow."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.commands.afterwards import what_next
from fintts_cli.commands.following import follow_live, refuse_bad_ending
from fintts_cli.commands.opening import (
    open_state,
    open_workplace,
    read_sources,
    with_base_model,
    with_recogniser,
)
from fintts_cli.commands.options import (
    BatchSize,
    Budget,
    CheckpointBytes,
    CheckpointEvery,
    Config,
    Detach,
    Force,
    Gpus,
    GradientAccumulation,
    HourlyRate,
    Infra,
    Json,
    KeepLast,
    LaunchPatienceSeconds,
    MaxSteps,
    Name,
    NoInput,
    Patience,
    Quiet,
    S3EndpointUrl,
    SecondsPerStep,
    SecondsPerValidation,
    SetupSeconds,
    SingleWriter,
    Spot,
    Steps,
    Store,
    TeardownSeconds,
    ValidationEvery,
    Yes,
)
from fintts_cli.commands.reading import reading_bar
from fintts_cli.errors import CloudError, ConfigError, UsageProblem
from fintts_cli.estimate.dry_run import measure_pace
from fintts_cli.estimate.missing_pace import is_pace_missing
from fintts_cli.estimate.run_inputs import RunInputs
from fintts_cli.launch.access import grant_for
from fintts_cli.launch.preconditions import (
    REAP_BY_CRON,
    refuse_unsafe_launch,
    unarmed,
)
from fintts_cli.launch.prepare import prepare
from fintts_cli.launch.resume import goes_on_from, in_words, nothing_to_force
from fintts_cli.launch.start import start
from fintts_cli.launch.task import render_task
from fintts_cli.runs.instances.requested import instances_of
from fintts_cli.runs.instances.tear_down import what_goes_on
from fintts_cli.runs.status.listing import look_at
from fintts_cli.settings.option_names import keyed, naming_origins
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.data.pairs import first_warnings
from fintts_cli.views.prices.launch import beside_the_gpu, launch_document, render_plan
from fintts_cli.workplace.workplace import Workplace
from fintts_cost.estimate.document import document
from fintts_store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_cli.launch.launch import Launch


def launch(
    name: Name = None,
    gpus: Gpus = None,
    infra: Infra = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    single_writer: SingleWriter = None,
    spot: Spot = None,
    budget: Budget = None,
    hourly_rate: HourlyRate = None,
    max_steps: MaxSteps = None,
    batch_size: BatchSize = None,
    gradient_accumulation: GradientAccumulation = None,
    validation_every: ValidationEvery = None,
    checkpoint_every: CheckpointEvery = None,
    keep_last: KeepLast = None,
    patience: Patience = None,
    steps: Steps = None,
    seconds_per_step: SecondsPerStep = None,
    seconds_per_validation: SecondsPerValidation = None,
    checkpoint_bytes: CheckpointBytes = None,
    setup_seconds: SetupSeconds = None,
    teardown_seconds: TeardownSeconds = None,
    launch_patience_seconds: LaunchPatienceSeconds = None,
    yes: Yes = False,
    detach: Detach = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the bill; change nothing.")
    ] = False,
    show_task: Annotated[
        bool, typer.Option("--show-task", help="With --dry-run: print the task's YAML.")
    ] = False,
    config: Config = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    no_input: NoInput = False,
) -> None:
    """Estimate, confirm, launch, follow.

    Ctrl-C leaves a run that you follow running, and says how to return to it. To resume a run that
    lost its instance, launch it again with its --name. --force resumes with changed steps, learning
    rate, patience or intervals, but never with other data, another adapter or another batch.
    """
    terminal = Terminal(json=json, quiet=quiet, no_input=no_input)
    if show_task and not dry_run:
        raise UsageProblem(
            "--show-task shows the task of a launch that is not made", "add --dry-run"
        )
    here = open_workplace()
    options: dict[str, object] = {
        "name": name,
        "gpus": gpus,
        "infra": infra,
        "store": store,
        "s3_endpoint_url": s3_endpoint_url,
        "single_writer": single_writer,
        "spot": spot,
        "budget_usd": budget,
        "hourly_rate_usd": hourly_rate,
        "max_steps": max_steps,
        "batch_size": batch_size,
        "gradient_accumulation": gradient_accumulation,
        "validation_every": validation_every,
        "checkpoint_every": checkpoint_every,
        "keep_last": keep_last,
        "patience": patience,
        "steps": steps,
        "seconds_per_step": seconds_per_step,
        "seconds_per_validation": seconds_per_validation,
        "checkpoint_bytes": checkpoint_bytes,
        "setup_seconds": setup_seconds,
        "teardown_seconds": teardown_seconds,
        "launch_patience_seconds": launch_patience_seconds,
    }
    found = read_sources(terminal, keyed(options), config)
    found = with_base_model(terminal, found, may_download=not dry_run)
    found = with_recogniser(terminal, found, may_download=not dry_run)
    inputs = RunInputs.of(here, found.settings)
    if is_pace_missing(here, found.settings, inputs):
        if dry_run:
            raise ConfigError(
                "the time of a step on this machine has not been measured, and --dry-run trains "
                "nothing",
                "run `fintts estimate --infra local` first: it trains twelve steps here and "
                "remembers their time; or give --seconds-per-step",
            )
        measure_pace(here.state, found.settings, inputs, terminal.say)
    with naming_origins(found), reading_bar(terminal, found.settings.data) as show:
        ready = prepare(here, found, datetime.now(UTC), force=force, on_read=show)
    if force and ready.resumes is None:
        terminal.say(nothing_to_force(ready.run))
    if dry_run:
        is_result = not (json or show_task)
        _show_plan(terminal, ready, terminal.data if is_result else terminal.say)
        _show_task(terminal, ready, show_task=show_task)
        return
    _show_plan(terminal, ready, terminal.say if yes else terminal.tell)
    if not found.settings.is_local:
        _refuse_or_warn(terminal, here, ready)
    place = here.infra(found.settings.infra)
    place.check(render_task(ready))
    _confirm(terminal, yes=yes)
    open_state(terminal)  # before anything is uploaded
    try:
        asked = start(here, ready, place, terminal.say)
        _stay(terminal, here, asked, detach=detach)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(str(interrupt) or what_goes_on(place, ready.run)) from None


def _refuse_or_warn(terminal: Terminal, here: Workplace, ready: "Launch") -> None:
    """Checks what only a rented machine needs, before you say yes and before any upload."""
    refuse_unsafe_launch(here, ready.settings, ready.store.url)
    if (grant := grant_for(ready)).warning:
        terminal.warn(grant.warning, grant.hint)
    if not here.is_by_sky(ready.settings.infra):
        return
    settings = ready.settings
    if (danger := unarmed(settings.infra, is_spot=settings.spot)) is not None:
        terminal.warn(danger, REAP_BY_CRON)


def _show_plan(terminal: Terminal, ready: "Launch", show: "Callable[[str], None]") -> None:
    """Shows the bill, and what is odd about the launch.

    Args:
        show: prints the bill; --quiet hides it unless it is the result, or you have to say yes.
    """
    text = render_plan(ready.plan, run=ready.run, where=ready.where, now=datetime.now(UTC))
    if ready.extras.items:
        text += f"\n  {beside_the_gpu(ready.extras)}"
    show(text)
    if ready.resumes is not None:
        where = goes_on_from(ready.store, ready.run)
        terminal.say(f"run {ready.run} exists already, and {where}{in_words(ready.changes)}")
    for sentence in ready.warnings:
        terminal.warn(sentence)
    for sentence, hint in first_warnings(ready.inputs.warnings):
        terminal.warn(sentence, hint)


def _show_task(terminal: Terminal, ready: "Launch", *, show_task: bool) -> None:
    if terminal.json:
        bill = document(ready.plan.estimate)
        terminal.document({**launch_document(ready), "task": render_task(ready), "estimate": bill})
    elif show_task:
        terminal.data(render_task(ready).rstrip("\n"))


def _confirm(terminal: Terminal, *, yes: bool) -> None:
    """Returns if the user agrees; else ends the command."""
    if yes:
        return
    hint = "--yes launches without asking"
    if not terminal.agrees("Launch it?", whether="launch", hint=hint):
        terminal.say("nothing was launched")
        raise typer.Exit(1)


def _refuse_gone(here: Workplace, ready: "Launch") -> None:
    """Raises CloudError if the accepted instance is gone already, as after a `down` that came
    before it could see the run."""
    is_lost, why = False, None
    with suppress(CloudError, StoreError):  # the run does not need this look
        view = look_at(ready.store, ready.run, instances_of(here), datetime.now(UTC))
        is_lost, why = view.is_lost, view.message
    if is_lost:
        raise CloudError(
            f"the instance of run {ready.run} is already gone: {why}",
            f"launch it again with --name {ready.run}",
        )


def _stay(terminal: Terminal, here: Workplace, ready: "Launch", *, detach: bool) -> None:
    """Follows the run to its end, or says how to return to it."""
    run = ready.run
    _refuse_gone(here, ready)
    if detach:
        terminal.say(f"run {run} keeps running; `fintts cloud watch {run}` shows it")
        if terminal.json:
            terminal.document(launch_document(ready))
        return
    terminal.say(f"run {run} does not need this terminal: Ctrl-C leaves it running")
    view = follow_live(terminal, here, ready.store, run)
    if terminal.json:
        terminal.document(launch_document(ready))
    refuse_bad_ending(view)
    terminal.say(f"run {run} {view.ending}")
    terminal.say(what_next(ready.store, run))
