"""What the trainer knows of a codec, whatever its kind: waves become codes, and codes waves.

To add a codec, obey `Codec`, put it into `open_codec` here and into fintts_inputs.codec.find, and
join the contract test. Everything is float32: in bfloat16 a third of the codes come out different.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import torch

from fintts_inputs.errors import CodecProblem

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import numpy as np
    import numpy.typing as npt

    from fintts_inputs.codec.shape import CodecShape

    Wave = npt.NDArray[np.float32]
    Codes = npt.NDArray[np.int64]


class Codec(Protocol):
    """A codec with its weights in memory."""

    @property
    def shape(self) -> CodecShape:
        """Rate, frames and codebooks."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of weights and settings: of two codecs with one digest, the codes are equal."""
        ...

    def encode(self, waves: Sequence[Wave]) -> list[Codes]:
        """Utterances → the codes of each, which do not depend on the others in the list.

        Args:
            waves: float32 [samples] at the codec's rate, each a whole utterance: one that is cut
                into pieces gets other codes.

        Returns:
            int64 [codebooks, frames] of each.

        Raises CodecProblem: an utterance is too long or too short.
        """
        ...

    def decode(self, codes: Codes) -> Wave:
        """Codes, int64 [codebooks, frames] → float32 [frames × frame_samples].

        Raises CodecProblem: the codes are of another shape, or are not the codec's.
        """
        ...


@contextmanager
def exact() -> Generator[None]:
    """No gradients, and float32 as it is: TF32, which cuDNN's convolutions use by default, gives
    other codes."""
    exactly = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    with torch.inference_mode(), exactly:
        yield


def refuse_length(shape: CodecShape, samples: int) -> None:
    """Raises CodecProblem for an utterance that the codec cannot read whole."""
    seconds = samples / shape.sample_rate
    most = shape.most_samples
    if most is not None and samples > most:
        raise CodecProblem(
            f"an utterance of {seconds:.1f} s is too long for the codec, which reads "
            f"{most / shape.sample_rate:.1f} s at most",
            "cut the recording at a pause",
        )
    if samples < shape.least_samples:
        least = shape.least_samples / shape.sample_rate
        raise CodecProblem(
            f"an utterance of {seconds:.3f} s is too short for the codec, which needs "
            f"{least:.3f} s",
            "leave the recording out",
        )


def refuse_misshapen(shape: CodecShape, codes: Codes) -> None:
    """Raises CodecProblem for what cannot be codes of this codec; too high ones are not looked at.

    They are the codec's own affair: S1's clamps them.
    """
    if codes.ndim != 2 or codes.shape[0] != shape.codebooks or not codes.shape[1]:
        raise CodecProblem(
            f"codes of shape {list(codes.shape)} are not [{shape.codebooks}, frames]",
            "take the codes of the codec that belongs to the base model",
        )
    if codes.min() < 0:
        raise CodecProblem(f"the codes hold {codes.min()}, and none is negative")
