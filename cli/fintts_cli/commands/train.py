"""`fintts train`: the trainer on this machine, from the same configuration."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fintts_cli.commands.afterwards import what_next
from fintts_cli.commands.opening import (
    open_state,
    open_workplace,
    read_sources,
    with_base_model,
    with_recogniser,
)
from fintts_cli.commands.options import (
    BatchSize,
    CheckpointEvery,
    Config,
    Force,
    GradientAccumulation,
    Json,
    KeepLast,
    MaxSteps,
    Name,
    Patience,
    Quiet,
    S3EndpointUrl,
    SingleWriter,
    Store,
    ValidationEvery,
)
from fintts_cli.commands.reading import reading_bar
from fintts_cli.errors import CheckFailed, CliError
from fintts_cli.estimate.run import facts_of, terms_here
from fintts_cli.estimate.run_inputs import RunInputs
from fintts_cli.launch import record as run_record
from fintts_cli.launch import resume, upload
from fintts_cli.launch.kept_data import kept_if_missing
from fintts_cli.launch.reporting import require_reporting
from fintts_cli.places import LOCAL
from fintts_cli.runs.clock import refuse_wrong_clock
from fintts_cli.runs.earlier_launches import so_far
from fintts_cli.runs.instances.requested import instances_of
from fintts_cli.runs.status.listing import look_at
from fintts_cli.runs.status.stop_reason import how_it_stopped, patience_of
from fintts_cli.settings.cross_checks import refuse_senseless
from fintts_cli.settings.option_names import keyed, naming_origins
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.trainer_process.local_trainer import require_eval, require_trainer, run_trainer
from fintts_cli.views.data.pairs import first_warnings
from fintts_cli.wording import iso_second
from fintts_cli.workplace.workplace import Workplace
from fintts_inputs.hang_factor import factor_in
from fintts_inputs.trackers import named
from fintts_store.checkpoints.listing import list_commits
from fintts_store.probes.promise import require_promise
from fintts_store.runs.runs import read_result, read_run

if TYPE_CHECKING:
    from fintts_cli.settings.read import ReadSettings
    from fintts_store.store import Store as RunStore


INTERRUPTED = (75, 130)
"""exit codes of a trainer that a signal ended, once everything is saved"""
EXIT_STORE = 5


def train(
    name: Name = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    single_writer: SingleWriter = None,
    max_steps: MaxSteps = None,
    batch_size: BatchSize = None,
    gradient_accumulation: GradientAccumulation = None,
    validation_every: ValidationEvery = None,
    checkpoint_every: CheckpointEvery = None,
    keep_last: KeepLast = None,
    patience: Patience = None,
    config: Config = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train on this machine.

    The same --name with the same configuration resumes the run. Ctrl-C saves before it ends, and so
    does closing the terminal; under nohup the run continues. --force resumes with changed steps,
    learning rate, patience or intervals, but never with other data, another adapter or another
    batch.
    """
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    factor_in()  # nonsense is refused before anything is uploaded
    options: dict[str, object] = {
        "name": name,
        "store": store,
        "s3_endpoint_url": s3_endpoint_url,
        "single_writer": single_writer,
        "infra": "local",
        "max_steps": max_steps,
        "batch_size": batch_size,
        "gradient_accumulation": gradient_accumulation,
        "validation_every": validation_every,
        "checkpoint_every": checkpoint_every,
        "keep_last": keep_last,
        "patience": patience,
    }
    open_state(terminal)
    found = read_sources(terminal, keyed(options), config)
    found = with_base_model(terminal, found, may_download=True)
    found = with_recogniser(terminal, found, may_download=True)
    require_trainer()
    if found.settings.samples.is_on and found.settings.eval.kinds:
        require_eval()
    require_reporting(found.settings)
    runs = here.store_of(found.settings)
    with naming_origins(found):
        run, deadline_at = _prepare(terminal, here, found, runs, force=force)
    workspace = here.state / "train" / run
    terminal.say(f"run {run}; its curves: tensorboard --logdir {workspace}")
    code = run_trainer(
        {
            "FINTTS_STORE": here.store_url(found.settings),
            "FINTTS_RUN": run,
            "FINTTS_WORKSPACE": str(workspace),
            "FINTTS_DEADLINE_AT": iso_second(deadline_at),
            **named(found.settings.trackers),
            **found.settings.secrets,
        }
    )
    _conclude(terminal, runs, run, code)


def _prepare(
    terminal: Terminal, here: Workplace, found: "ReadSettings", runs: "RunStore", *, force: bool
) -> tuple[str, datetime]:
    """Puts what the trainer reads into the store; returns the run's name and deadline."""
    config, now = found.settings.run_config(), datetime.now(UTC)
    name = found.settings.name or run_record.make_name(config.data, now.date())
    kept = kept_if_missing(runs, name, config.data)
    with reading_bar(terminal, config.data) as show:
        checked = upload.check_inputs(config, show, kept).beside(runs)
    inputs_here = RunInputs.of(here, found.settings, checked=checked)
    for sentence in refuse_senseless(facts_of(found.settings, inputs_here)):
        terminal.warn(sentence)
    terms = terms_here(here, found, inputs_here, now)
    for sentence, hint in first_warnings(checked.warnings):
        terminal.warn(sentence, hint)
    refuse_wrong_clock(runs, LOCAL, terminal.warn)
    require_promise(runs, single_writer=found.settings.single_writer)
    record = run_record.existing_run(runs, name)
    if record is None:
        if force:
            terminal.say(resume.nothing_to_force(name))
        inputs = upload.upload_inputs(runs, checked, terminal.say)
        run_record.begin(runs, name, config, inputs, terms, now)
        here.stores.note(runs)
        return name, terms.deadline_at
    changes = resume.refuse_changes(runs, record, config, force=force)
    view = look_at(runs, name, instances_of(here), now)
    resume.refuse_live(view)
    inputs = upload.upload_inputs(runs, checked, terminal.say, record)
    resume.refuse_other_inputs(record, inputs)
    run_record.revise(runs, record, config, changes, now)
    resume.go_on(runs, name, so_far(view).ends)
    terminal.say(f"run {name} {resume.goes_on_from(runs, name)}{resume.in_words(changes)}")
    return name, terms.deadline_at


def _conclude(terminal: Terminal, runs: "RunStore", run: str, code: int) -> None:
    """Prints how the run ended and what to type next; raises if it failed."""
    result = read_result(runs, run)
    is_saved = bool(list_commits(runs, run))
    command = f"`fintts train --name {run}`"
    again = (
        f"{command} resumes from the newest checkpoint" if is_saved else f"{command} tries again"
    )
    if result is None and code in INTERRUPTED:
        how = "and is saved" if is_saved else "and has no checkpoint yet"
        raise KeyboardInterrupt(f"run {run} was interrupted {how}: {again}")
    if result is None:
        exit_code = EXIT_STORE if code == EXIT_STORE else 1
        raise CliError(f"the trainer failed with exit code {code}", again, exit_code=exit_code)
    patience = patience_of(read_run(runs, run).config)
    ended = how_it_stopped(result.stop_reason, result.step, patience=patience)
    if result.stop_reason.is_failure:
        raise CheckFailed(result.message or f"run {run} {ended}")
    if terminal.json:
        terminal.document(result.model_dump(mode="json"))
    best = "" if result.best_step is None else f"; its best checkpoint is step {result.best_step}"
    terminal.say(f"run {run} {ended}{best}")
    terminal.say(what_next(runs, run))
