"""A folder of recordings, and what was encoded of it, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from fintts_cli.views.data.pairs import listed
from fintts_cli.views.estimate.headline import headline
from fintts_cli.views.units import counted
from fintts_inputs.recordings.receipts import count_by_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal
    from pathlib import Path

    from fintts_cost.plan.candidate import Candidate
    from fintts_inputs.codec.shape import CodecShape
    from fintts_inputs.folder import Problem
    from fintts_inputs.recordings.plan import Encoded
    from fintts_inputs.recordings.survey import Survey

BINS = (1, 2, 3, 5, 8, 12, 20)
"""where the bars of the histogram end, in seconds"""
BAR_WIDTH = 30


@dataclass(frozen=True, slots=True)
class RunOnRecordings:
    """What a run on recordings would be.

    Attributes:
        samples_per_step: utterances of a step.
        candidate: the run on the cheapest GPU; None if its bill is unknown.
        unknown: why it is.
    """

    train: int
    held_out: int
    samples_per_step: int
    candidate: Candidate | None
    unknown: str
    budget_usd: Decimal | None

    @property
    def steps_per_epoch(self) -> int:
        """The last one may be smaller."""
        return -(-self.train // self.samples_per_step)

    def to_json(self) -> dict[str, object]:
        """The figures."""
        bill = None if self.candidate is None else self.candidate.outlook
        return {
            "train": self.train,
            "held_out": self.held_out,
            "steps_per_epoch": self.steps_per_epoch,
            "gpus": self.candidate and self.candidate.gpus,
            "cost_usd": bill and bill.usd.to_json(),
            "total_seconds": bill and bill.seconds.to_json(),
            "unknown": self.unknown or None,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"  a run       {self.train:,} to train on, {self.held_out:,} held out"
        each = counted(self.samples_per_step, "utterance")
        yield f"  an epoch    {counted(self.steps_per_epoch, 'step')} of {each}"
        if self.candidate is None:
            yield f"  the bill    not known yet: {self.unknown}"
            return
        steps = f"{self.candidate.estimate.expected.stop_step:,} steps on {self.candidate.gpus}"
        first, *others = headline(self.candidate, budget_usd=self.budget_usd)
        yield f"  the bill    {steps}: {first}"
        yield from (f"              {line}" for line in others)


@dataclass(frozen=True, slots=True)
class RecordingsView:
    """A survey and the encoded data; `encoded` is None if there was nothing to encode, and
    `run` if nothing says what one would be."""

    survey: Survey
    codec: CodecShape
    to: Path | None = None
    encoded: Encoded | None = None
    run: RunOnRecordings | None = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems that the survey and the encoder found."""
        late = () if self.encoded is None else self.encoded.problems
        return (*self.survey.problems, *late)

    @property
    def speakers(self) -> dict[str, int]:
        """Utterances by speaker; "" for one without a name."""
        return count_by_name(one.speaker for one in self.survey.utterances)

    def to_json(self) -> dict[str, object]:
        """The document of --json."""
        survey, codec = self.survey, self.codec
        return {
            "folder": str(survey.folder),
            "to": None if self.to is None else str(self.to),
            "utterances": len(survey.utterances),
            "hours": survey.seconds / 3600,
            "frames_per_second": codec.frames_per_second,
            "sample_rate": codec.sample_rate,
            "codebooks": codec.codebooks,
            "speakers": self.speakers,
            "run": None if self.run is None else self.run.to_json(),
            "encoded": None if self.encoded is None else self.encoded.model_dump(mode="json"),
            "spelled": [_document(one) for one in survey.spelled],
            "problems": [_document(one) for one in self.problems],
            "warnings": [_document(one) for one in survey.warnings],
        }


def _document(problem: Problem) -> dict[str, str]:
    return {"file": problem.file, "sentence": problem.sentence}


def render_recordings(view: RecordingsView) -> str:
    """Counts and lengths, then every problem and every warning, by file."""
    survey, codec = view.survey, view.codec
    lines = [
        f"{survey.folder}",
        f"  recordings  {len(survey.utterances):,} with text, {survey.seconds / 3600:.2f} hours of "
        "speech without the silence at the ends",
        f"  codec       {codec.title}, {codec.codebooks} codebooks, "
        f"{codec.frames_per_second:.2f} frames a second at {codec.sample_rate:,} Hz",
    ]
    if len(view.speakers) > 1:
        said = ", ".join(f"{name or 'unnamed'} {count:,}" for name, count in view.speakers.items())
        lines.append(f"  speakers    {said}")
    lines += [f"  loudness    {sentence}" for sentence in _loudness(view.survey)]
    lines += _histogram([one.seconds for one in survey.utterances])
    if view.run is not None:
        lines += view.run.lines()
        lines += more(len(survey.utterances), survey.seconds, view.run.samples_per_step)
    lines += listed("put into words", survey.spelled, every=True)
    lines += listed("problems", view.problems, every=True)
    lines += listed("warnings", survey.warnings, every=True)
    if view.encoded is not None:
        lines += ["", *_encoded(view, view.encoded)]
    return "\n".join(lines)


def more(utterances: int, seconds: float, samples_per_step: int) -> list[str]:
    """What another hour would be; what it would gain is not known before a run."""
    if not seconds:
        return []
    an_hour = round(3600 * utterances / seconds)
    steps = round(an_hour / samples_per_step)
    return [
        f"  more        another hour like these is about {counted(an_hour, 'utterance')}, and "
        f"{counted(steps, 'step')} more an epoch",
        "              what it would gain, only a run shows: train on a part, and compare",
    ]


def _loudness(survey: Survey) -> list[str]:
    found = [one.loudness for one in survey.utterances]
    if not found:
        return []
    return [f"{min(found):.1f} to {max(found):.1f} LUFS, raised or lowered to -23"]


def _histogram(seconds: Sequence[float]) -> list[str]:
    """Utterances by length."""
    if not seconds:
        return []
    edges = [0, *BINS, max(BINS[-1] + 1, int(max(seconds)) + 1)]
    counts = [sum(begin <= one < end for one in seconds) for begin, end in pairwise(edges)]
    most = max(counts)
    lines: list[str] = []
    for (begin, end), count in zip(pairwise(edges), counts, strict=True):
        if count:
            bar = "#" * max(1, round(BAR_WIDTH * count / most))
            lines.append(f"  {begin:>3}-{end:<3} s   {bar} {count:,}")
    return lines


def _encoded(view: RecordingsView, encoded: Encoded) -> list[str]:
    kept = f", {encoded.kept:,} were encoded before" if encoded.kept else ""
    lines = [
        f"{view.to}: {counted(encoded.new, 'utterance')} encoded{kept}; {encoded.frames:,} frames, "
        f"{encoded.hours:.2f} hours; codec {encoded.codec_digest[:12]}"
    ]
    lines += [
        f"  {name}: {view.to} has old codes of it, which training uses unless you remove them"
        for name in encoded.left_over
    ]
    return lines
