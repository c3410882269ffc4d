"""The numbers of a codec: how it divides a wave into frames, and a frame into codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_inputs.errors import CodecProblem

if TYPE_CHECKING:
    from fintts_inputs.base_model.shape import ModelShape


@dataclass(frozen=True, slots=True)
class CodecShape:
    """The numbers that the data and the base model must agree with.

    Attributes:
        title: the codec's name for people.
        sample_rate: of its waves, in Hz.
        frame_samples: samples of the wave per frame.
        codebook_sizes: codes of each row, first row first.
        most_frames: of one utterance; None if there is no limit.
        least_samples: of one utterance.
    """

    title: str
    sample_rate: int
    frame_samples: int
    codebook_sizes: tuple[int, ...]
    most_frames: int | None
    least_samples: int = 1

    @property
    def codebooks(self) -> int:
        """Rows of codes."""
        return len(self.codebook_sizes)

    @property
    def frames_per_second(self) -> float:
        """21.53 for Fish Speech's codecs, 12.5 for Mimi."""
        return self.sample_rate / self.frame_samples

    @property
    def most_samples(self) -> int | None:
        """Of one utterance; None if there is no limit."""
        return None if self.most_frames is None else self.most_frames * self.frame_samples


def refuse_other_codec(codec: CodecShape, model: ModelShape) -> None:
    """Compares the codec's codebooks with those that the base model predicts.

    A model may have more places than its codec has codes, up to the next power of two: Fish Speech
    1.5 has 1,024 places for 1,000 codes.

    Raises:
        CodecProblem: they differ.
    """
    largest = max(codec.codebook_sizes)
    rounded_up = 1 << (largest - 1).bit_length()
    if codec.codebooks != model.num_codebooks:
        what = (codec.codebooks, "codebooks", model.num_codebooks)
    elif model.codebook_size not in (largest, rounded_up):
        what = (largest, "codes", model.codebook_size)
    else:
        return
    raise CodecProblem(
        f"the codec ({codec.title}) has {what[0]:,} {what[1]}, the base model {what[2]:,}",
        "use a codec and a base model from the same release",
    )
