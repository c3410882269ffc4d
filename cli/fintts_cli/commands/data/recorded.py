"""`fintts data check` on recordings: what training on them would be, before anything is encoded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.commands.opening import open_workplace
from fintts_cli.errors import CheckFailed, CliError
from fintts_cli.estimate.figures import RecordedWork
from fintts_cli.estimate.gpus import choices_of
from fintts_cli.estimate.recorded import ASSUMED
from fintts_cli.estimate.run_inputs import RunInputs
from fintts_cli.estimate.workload import workload_of_recordings
from fintts_cli.prices.snapshot import Snapshot
from fintts_cli.settings.option_names import naming_origins
from fintts_cli.views.data.recordings import RecordingsView, RunOnRecordings, render_recordings
from fintts_cli.views.units import counted
from fintts_cost.errors import CostError
from fintts_inputs.base_model.families import read_config
from fintts_inputs.codec.find import find_codec_for
from fintts_inputs.errors import InputError
from fintts_inputs.recordings.survey import limits_of, survey
from fintts_store.errors import StoreError

if TYPE_CHECKING:
    from fintts_cli.estimate.run import RunEstimate
    from fintts_cli.settings.read import ReadSettings
    from fintts_cli.terminal.terminal import Terminal
    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.codec.shape import CodecShape
    from fintts_inputs.recordings.files import Recordings
    from fintts_inputs.recordings.survey import Survey
    from fintts_inputs.recordings.transcripts import Spell


def check_recordings(
    terminal: Terminal,
    found: ReadSettings,
    recordings: Recordings,
    spell: Spell | None = None,
) -> None:
    """Shows hours and lengths, every problem by file, steps an epoch, and the bill of the run.

    Raises:
        CheckFailed: a recording cannot be used.
    """
    codec, model = _codec(terminal, found.settings.base_model)
    with terminal.progress("reading") as show:
        surveyed = survey(recordings, limits_of(codec, model), show, spell)
    view = RecordingsView(surveyed, codec, run=_run(terminal, found, surveyed, codec))
    if terminal.json:
        terminal.document(view.to_json())
    else:
        terminal.data(render_recordings(view))
    if view.problems:
        raise CheckFailed(
            f"the recordings have {counted(len(view.problems), 'problem')}",
            "fix or remove the files listed above; `fintts data encode` leaves them out",
        )


def _codec(terminal: Terminal, base: object) -> tuple[CodecShape, ModelShape | None]:
    """The codec beside the base model, or that of S1 if there is none here."""
    if not isinstance(base, Path) or not base.exists():
        return ASSUMED, None
    model = read_config(base).shape
    try:
        return find_codec_for(model, base).shape, model
    except InputError as problem:
        terminal.warn(problem.message, problem.hint)
        return ASSUMED, model


def _run(
    terminal: Terminal, found: ReadSettings, surveyed: Survey, codec: CodecShape
) -> RunOnRecordings | None:
    """What a run on these recordings would be; None, with a warning, if there are too few."""
    settings = found.settings
    try:
        workload = workload_of_recordings(
            surveyed.utterances, codec.frames_per_second, settings.validation.fraction
        )
    except InputError as problem:
        terminal.warn(problem.message, problem.hint)
        return None
    made: RunEstimate | None = None
    unknown = ""
    here = open_workplace()
    recorded = RecordedWork(workload, surveyed.seconds)
    inputs = RunInputs.of(here, settings, recorded=recorded)
    try:
        with naming_origins(found):
            made = choices_of(here, found, Snapshot, inputs).cheapest
    except (CliError, CostError, InputError, StoreError) as error:
        unknown = error.message
    each = settings.training.batch_size * settings.training.gradient_accumulation
    candidate = None if made is None else made.candidate
    return RunOnRecordings(
        workload.samples, workload.held_out, each, candidate, unknown, settings.budget_usd
    )
