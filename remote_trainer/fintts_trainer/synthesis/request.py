"""What is asked of a model, and what it answers: text becomes codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fintts_inputs.speech.sampling import SamplingOptions

    Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a choice is drawn from scores; a family has its own default.

    Attributes:
        temperature: 0 always takes the likeliest.
        top_p: only the likeliest choices whose probabilities together stay below it.
        top_k: only so many of the likeliest choices; None is all.
        repetition_penalty: factor by which a recent choice scores less; 1 is none.
    """

    temperature: float
    top_p: float = 1.0
    top_k: int | None = None
    repetition_penalty: float = 1.0

    def changed(self, options: SamplingOptions) -> Sampling:
        """The same with what the user asks for."""
        return replace(self, **options.model_dump(exclude_none=True))


@dataclass(frozen=True, slots=True)
class Reference:
    """A recording of the voice to imitate, as codes, and its text."""

    text: str
    codes: Codes


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A text to speak.

    Attributes:
        codebook_sizes: of the codec; no code beyond is chosen.
        most_frames: where speech without an end is cut.
        sampling: replaces parts of the family's default.
        as_fish: penalise repetition exactly as Fish Speech's own tools do, slips included.
    """

    text: str
    codebook_sizes: tuple[int, ...]
    most_frames: int
    sampling: SamplingOptions
    seed: int = 0
    references: tuple[Reference, ...] = ()
    as_fish: bool = False


@dataclass(frozen=True, slots=True)
class Speech:
    """The codes of a spoken text.

    Attributes:
        codes: int64 [codebooks, frames].
        ended: whether the model chose to end; otherwise the speech was cut.
        disallowed: frames at which the likeliest choice was neither a code of the codec nor the
            end; many of them mean that the model has not learned to speak.
    """

    codes: Codes
    ended: bool
    disallowed: int
