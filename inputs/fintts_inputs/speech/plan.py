"""The plan for the trainer's speaker, and its answers, as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fintts_inputs.recordings.plan import Refused


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SamplingOptions(_Part):
    """How choices are drawn; None leaves a number to the base model's family."""

    temperature: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)] | None = None
    """0 always takes the likeliest"""
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    repetition_penalty: Annotated[float, Field(ge=1, le=5, allow_inf_nan=False)] | None = None


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
        recording: codes of a recording of the text, which are decoded instead of generated.
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
