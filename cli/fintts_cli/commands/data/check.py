"""`fintts data check`: checks every file of a data folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.commands.data.checked import Folder, checked_data
from fintts_cli.commands.data.spelled import SpellNumbers, speller
from fintts_cli.commands.opening import read_sources, with_base_model
from fintts_cli.commands.options import BaseModel, Config, Json, Quiet
from fintts_cli.errors import CheckFailed, UsageProblem
from fintts_cli.settings.option_names import names_of
from fintts_cli.sound_packages import require_readers
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.data.pairs import FRAMES_PER_SECOND, DataView, render_data
from fintts_cli.views.units import counted
from fintts_cost.errors import ScheduleError
from fintts_cost.training.schedule import Schedule
from fintts_inputs.data.pairs import split
from fintts_inputs.errors import DataProblem
from fintts_inputs.recordings.files import only_recordings_in
from fintts_inputs.recordings.receipts import read_data_file

if TYPE_CHECKING:
    from fintts_cli.settings.read import ReadSettings


def check(
    folder: Folder = None,
    frames_per_second: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            min=0.1,
            max=10_000,
            help="Frame rate of pairs; by default that of data.json, or 21.5.",
        ),
    ] = None,
    spell_numbers: SpellNumbers = None,
    base_model: BaseModel = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Validate pairs or recordings.

    Shows counts, hours, steps per epoch, and each problem with its file; of recordings also their
    lengths and what the run would cost.
    """
    terminal = Terminal(json=json, quiet=quiet)
    found = read_sources(terminal, {"data": folder, "base_model": base_model}, config)
    found = with_base_model(terminal, found, may_download=False)
    data = found.settings.data
    recordings = None if data is None else only_recordings_in(data)
    if recordings is not None:
        if frames_per_second is not None:
            raise UsageProblem(
                "--frames-per-second is for pairs: recordings have the frame rate of their codec",
                "leave it out",
            )
        require_readers()
        # It needs the packages that read sound, which pairs do not.
        from fintts_cli.commands.data.recorded import check_recordings

        check_recordings(terminal, found, recordings, speller(spell_numbers))
        return
    if spell_numbers is not None:
        raise UsageProblem(
            "--spell-numbers is for recordings: pairs have their texts already",
            "give it to `fintts data encode`",
        )
    view = look_at(found, frames_per_second, terminal)
    if json:
        terminal.document(view.to_json())
    else:
        terminal.data(render_data(view))
    count = len(view.report.problems)
    if count:
        raise CheckFailed(
            f"the data has {counted(count, 'problem')}",
            "fix or remove the files named above",
        )


def look_at(found: "ReadSettings", frames_per_second: float | None, terminal: Terminal) -> DataView:
    """Checks every file of the configured folder, against the base model if there is one."""
    settings = found.settings
    report = checked_data(settings, terminal, "check")
    names = [utterance.name for utterance in report.utterances]
    try:
        parts = split(names, settings.validation.fraction)
        train, held_out = len(parts.train), len(parts.held_out)
    except DataProblem as problem:
        terminal.warn(problem.message, problem.hint)
        train, held_out = len(names), 0
    schedule = _schedule(found, train, terminal)
    rate = frames_per_second or frames_per_second_of(report.folder)
    return DataView(report, train, held_out, schedule, rate)


def frames_per_second_of(folder: Path) -> float:
    """The frame rate of the codec that made the codes, if `fintts data encode` called it."""
    known = read_data_file(folder)
    return FRAMES_PER_SECOND if known is None else known.codec.frames_per_second


def _schedule(found: "ReadSettings", train: int, terminal: Terminal) -> Schedule | None:
    """The schedule; None, with a warning, if a batch is larger than the training split."""
    training = found.settings.training
    try:
        return Schedule(
            samples=train,
            batch_size=training.batch_size,
            gradient_accumulation=training.gradient_accumulation,
        )
    except ScheduleError as error:
        named = error.renamed(names_of(found))
        terminal.warn(named.message, named.hint)
        return None
