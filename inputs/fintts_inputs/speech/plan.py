"""The plan for the trainer's speaker, and its answers, as JSON."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from fintts_inputs.recordings.plan import Refused
from fintts_inputs.speech.sampling import SamplingOptions


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReferenceRecording(_Part):
    """A recording of the voice to imitate, and its text."""

    path: Path
    text: str


class Voice(_Part):
    """One voice that says one text, into one file.

    Attributes:
        name: for the answer.
        text: what to say.
        adapter: folder of the adapter; None speaks with the base model alone.
        prompt: name of the prompt that it was trained with; None is the one that the base model is
            served with.
        recording: of the text, as codes or as sound, which is decoded instead of generated: so it
            is heard as the codec renders it, as everything else.
        to: the WAV file to write; none of that name exists.
    """

    name: str
    text: str
    adapter: Path | None = None
    prompt: str | None = None
    recording: Path | None = None
    to: Path


class SpeechPlan(_Part):
    """What to speak, with one base model and its codec."""

    base: Path
    codec: Path
    voices: list[Voice]
    max_seconds: float
    seed: int
    reference: ReferenceRecording | None = None
    sampling: SamplingOptions = SamplingOptions()
    as_fish: bool = False


class Frames(_Part):
    """Progress: the number of frames generated for a voice, and the most there can be."""

    voice: str
    done: int
    most: int


class Spoken(_Part):
    """The file of a voice is written.

    Attributes:
        ended: whether the model chose to end; otherwise the speech was cut.
        disallowed: frames at which the likeliest choice was not speech.
        generating_seconds: without loading and decoding.
    """

    voice: str
    path: Path
    seconds: float
    frames: int
    ended: bool
    disallowed: int
    generating_seconds: float


class SpeechDone(_Part):
    """All voices have spoken."""


class SpeechAnswer(_Part):
    """A line of the process's output."""

    answer: Frames | Spoken | SpeechDone | Refused
