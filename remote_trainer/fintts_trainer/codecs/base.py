"""The port of a codec, which turns waves into codes and back.

To add a codec, implement `Codec`, add it to `open_codec` and to fintts_inputs.codec.find, and join
the contract test. Everything is float32: in bfloat16 a third of the codes differ.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from fintts_inputs.errors import CodecProblem

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import numpy.typing as npt

    from fintts_inputs.codec.shape import CodecShape

    Wave = npt.NDArray[np.float32]
    Codes = npt.NDArray[np.int64]


OWN_CODES = "use codes from the codec that belongs to the base model"


class Codec(Protocol):
    """A codec with its weights in memory."""

    @property
    def shape(self) -> CodecShape:
        """Rate, frames and codebooks."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of weights and settings: codecs with equal digests give equal codes."""
        ...

    def encode(self, waves: Sequence[Wave]) -> list[Codes]:
        """Utterances → the codes of each, which do not depend on the others in the list.

        Args:
            waves: float32 [samples] at the codec's rate, each a whole utterance: its pieces would
                get other codes.

        Returns:
            int64 [codebooks, frames] of each.

        Raises CodecProblem: an utterance is too long or too short.
        """
        ...

    def decode(self, codes: Codes) -> Wave:
        """Codes, int64 [codebooks, frames] → float32 [frames × frame_samples].

        Raises CodecProblem: the codes have another shape, or this codec has no such codes.
        """
        ...


@contextmanager
def exact() -> Generator[None]:
    """No gradients, and full float32: TF32, which cuDNN's convolutions use by default, gives other
    codes."""
    exactly = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    with torch.inference_mode(), exactly:
        yield


def refuse_length(shape: CodecShape, samples: int) -> None:
    """Raises CodecProblem if an utterance is too long or too short for the codec."""
    seconds = samples / shape.sample_rate
    most = shape.most_samples
    if most is not None and samples > most:
        raise CodecProblem(
            f"an utterance of {seconds:.1f} s is too long: the codec reads at most "
            f"{most / shape.sample_rate:.1f} s",
            "cut the recording at a pause",
        )
    if samples < shape.least_samples:
        least = shape.least_samples / shape.sample_rate
        raise CodecProblem(
            f"an utterance of {seconds:.3f} s is too short: the codec needs {least:.3f} s",
            "leave the recording out",
        )


def refuse_misshapen(shape: CodecShape, codes: Codes) -> None:
    """Raises CodecProblem for codes of another shape, and for negative ones."""
    if codes.ndim != 2 or codes.shape[0] != shape.codebooks or not codes.shape[1]:
        raise CodecProblem(
            f"codes of shape {list(codes.shape)} are not [{shape.codebooks}, frames]", OWN_CODES
        )
    if codes.min() < 0:
        raise CodecProblem(f"a code is negative: {codes.min()}", OWN_CODES)


def refuse_too_high(shape: CodecShape, codes: Codes) -> None:
    """Raises CodecProblem for a code beyond its codebook."""
    for codebook, size in zip(codes, shape.codebook_sizes, strict=True):
        if codebook.max() >= size:
            raise CodecProblem(
                f"a code is {codebook.max()}, but the codec's last one is {size - 1}", OWN_CODES
            )


def on_device(values: Wave | Codes, device: torch.device) -> torch.Tensor:
    """A batch of one, on the device."""
    return torch.from_numpy(np.ascontiguousarray(values))[None].to(device)


def wave_of(batch: torch.Tensor) -> Wave:
    """The samples of a decoded batch of one, [1, 1, samples]."""
    return batch[0, 0].cpu().numpy()
