"""The plan for the trainer's encoder, and its answers, as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict

from fintts_inputs.folder import Problem
from fintts_inputs.recordings.piece import Piece

if TYPE_CHECKING:
    from fintts_inputs.recordings.survey import Survey
    from fintts_inputs.recordings.utterance import Utterance


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlannedUtterance(_Part):
    """A recording and how to prepare it; see `Utterance`."""

    name: str
    file: str
    path: Path
    text: str
    speaker: str
    digest: str
    begin: int
    end: int
    gain: float
    seconds: float
    loudness_lufs: float
    piece: Piece | None = None

    @classmethod
    def of(cls, one: Utterance) -> Self:
        """From a surveyed utterance."""
        return cls(
            name=one.name,
            file=one.file,
            path=one.path,
            text=one.text,
            speaker=one.speaker,
            digest=one.digest,
            begin=one.begin,
            end=one.end,
            gain=one.gain,
            seconds=one.seconds,
            loudness_lufs=round(one.loudness, 2),
            piece=one.piece,
        )


class EncodePlan(_Part):
    """What to encode, and with which codec."""

    codec: Path
    to: Path
    utterances: list[PlannedUtterance]

    @classmethod
    def of(cls, survey: Survey, codec: Path, to: Path) -> Self:
        """All utterances of a survey."""
        planned = [PlannedUtterance.of(one) for one in survey.utterances]
        return cls(codec=codec, to=to, utterances=planned)


class Progress(_Part):
    """One utterance is done; `is_new` if it was not encoded before."""

    done_seconds: float
    is_new: bool


class Encoded(_Part):
    """Everything is done.

    Attributes:
        failed: (file, sentence) of each recording that could not be encoded.
        left_over: names of pairs in the folder that belong to no recording of the plan.
    """

    new: int
    kept: int
    frames: int
    hours: float
    codec_digest: str
    failed: list[tuple[str, str]]
    left_over: list[str]

    @property
    def problems(self) -> list[Problem]:
        """The failures as problems."""
        return [Problem(file, sentence) for file, sentence in self.failed]


class Refused(_Part):
    """The trainer stopped; finished utterances or files are kept."""

    error: str
    hint: str = ""


class Answer(_Part):
    """A line of the process's output."""

    answer: Progress | Encoded | Refused
