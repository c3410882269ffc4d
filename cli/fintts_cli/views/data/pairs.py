"""The content of a data folder, as text and as a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.views.units import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fintts_cost.training.schedule import Schedule
    from fintts_inputs.data.check import DataReport
    from fintts_inputs.folder import Problem

SHOWN = 20
SHOWN_FIRST = 3
FRAMES_PER_SECOND = 21.5
"""frames per second of the base models' codec"""


@dataclass(frozen=True, slots=True)
class DataView:
    """A data report with its consequences for training; `schedule` is None if there is none."""

    report: DataReport
    train: int
    held_out: int
    schedule: Schedule | None
    frames_per_second: float

    def to_json(self) -> dict[str, object]:
        """The document of `fintts data check --json`."""
        report = self.report
        return {
            "folder": str(report.folder),
            "utterances": len(report.utterances),
            "train": self.train,
            "held_out": self.held_out,
            "frames": report.frames,
            "hours": report.hours(self.frames_per_second),
            "frames_per_second": self.frames_per_second,
            "codebooks": len(report.highest_codes) or None,
            "highest_codes": list(report.highest_codes),
            "steps_per_epoch": None if self.schedule is None else self.schedule.steps_per_epoch,
            "ignored_files": report.ignored,
            "normalised_utterances": report.normalised,
            "problems": [_document(problem) for problem in report.problems],
            "warnings": [_document(warning) for warning in report.warnings],
        }


def _document(problem: Problem) -> dict[str, str]:
    return {"file": problem.file, "sentence": problem.sentence}


def render_data(view: DataView) -> str:
    """Counts, then every problem by file, then the warnings."""
    report = view.report
    lines = [
        f"{report.folder}",
        f"  utterances  {len(report.utterances):,}: {view.train:,} to train on, "
        f"{view.held_out:,} held out",
        f"  frames      {report.frames:,}, {report.hours(view.frames_per_second):.2f} hours at "
        f"{view.frames_per_second:g} frames a second",
    ]
    if report.highest_codes:
        highest = " ".join(str(code) for code in report.highest_codes)
        lines.append(f"  codebooks   {len(report.highest_codes)}, highest codes {highest}")
    if view.schedule is not None:
        each = view.schedule.samples_per_step
        lines.append(
            f"  an epoch    {counted(view.schedule.steps_per_epoch, 'step')} of "
            f"{counted(each, 'utterance')}"
        )
    if report.ignored:
        lines.append(f"  ignored     {counted(report.ignored, 'file')}, neither .npy nor .lab")
    if report.normalised:
        lines.append(
            f"  Unicode     {counted(report.normalised, 'utterance')} whose name or text is "
            "converted to NFC"
        )
    lines += listed("problems", report.problems, every=True)
    lines += listed("warnings", report.warnings, every=False)
    return "\n".join(lines)


def first_warnings(warnings: Sequence[Problem]) -> Iterator[tuple[str, str]]:
    """Sentence and hint of the first warnings, for a user about to train on the data."""
    for one in warnings[:SHOWN_FIRST]:
        yield f"{one.file} {one.sentence}", ""
    hidden = len(warnings) - SHOWN_FIRST
    if hidden > 0:
        yield f"and {hidden:,} more in the data", "`fintts data check` lists all"


def listed(name: str, problems: tuple[Problem, ...], *, every: bool) -> list[str]:
    """Problems or warnings by file, under their number; the first ones, or every one."""
    if not problems:
        return []
    shown = problems if every else problems[:SHOWN]
    lines = ["", f"{name}: {len(problems):,}"]
    lines += [f"  {problem.file}: {problem.sentence}" for problem in shown]
    hidden = len(problems) - len(shown)
    return [*lines, f"  and {hidden:,} more (--json lists all)"] if hidden else lines
