"""Groups recordings into batches by their seconds, so that memory is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fintts_inputs.codec.shape import CodecShape

SECONDS_AT_ONCE = 60.0
"""with S1's codec about 3 GB of activations, 45 MB for each second"""


class Timed(Protocol):
    """A recording of known length."""

    @property
    def name(self) -> str:
        """Orders recordings of one length."""
        ...

    @property
    def seconds(self) -> float:
        """Its length."""
        ...


Recording = TypeVar("Recording", bound=Timed)


def batches(
    recordings: Sequence[Recording],
    shape: CodecShape,
    seconds_at_once: float = SECONDS_AT_ONCE,
) -> Iterator[list[Recording]]:
    """Yields batches of similar length, as large as fit with padding to the longest.

    The longest come first, so that a lack of memory shows at once. An utterance that does not fit
    is a batch of its own.
    """
    batch: list[Recording] = []
    frame = 1 / shape.frames_per_second
    for one in sorted(recordings, key=lambda one: (-one.seconds, one.name)):
        if batch and (len(batch) + 1) * (batch[0].seconds + frame) > seconds_at_once:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch
