"""Cuts utterances of different lengths into batches for the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fintts_trainer.families.base import IGNORE, Batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from fintts_trainer.families.base import Example


def cut(
    lengths: npt.NDArray[np.int64], batch_size: int, tokens: int | None
) -> list[npt.NDArray[np.int64]]:
    """Cuts the indices of `lengths` into micro-batches.

    Without `tokens`: `batch_size` neighbours each; the last micro-batch may be smaller. With
    `tokens`: from the longest down, as many as fit into that many tokens after padding; a longer
    utterance gets its own micro-batch. The longest come first, so a lack of memory shows at once.
    """
    places = np.arange(len(lengths))
    if tokens is not None:
        places = np.argsort(-lengths, kind="stable")
    parts: list[npt.NDArray[np.int64]] = []
    start = 0
    while start < len(places):
        width = int(lengths[places[start]])
        count = batch_size if tokens is None else max(1, tokens // width)
        parts.append(places[start : start + count])
        start += count
    return parts


def collate(examples: Sequence[Example]) -> Batch:
    """Pads on the right; padding has no label, and causal attention never sees it."""
    width = max(example.length for example in examples) - 1
    rows = examples[0].tokens.shape[0]
    # In NumPy: torch would start a second team of threads in the thread that makes the batches.
    inputs = np.zeros((len(examples), rows, width), dtype=np.int64)
    labels = np.full_like(inputs, IGNORE)
    for row, example in enumerate(examples):
        first, last = example.text_length - 1, example.length - 1
        inputs[row, :, :last] = example.tokens[:, :-1]
        labels[row, :, first:last] = example.tokens[:, first + 1 :]
        if not example.end_has_codes:
            labels[row, 1:, last - 1] = IGNORE
    return Batch.of(inputs, labels)


def in_batches(examples: Sequence[Example], size: int) -> Iterator[Batch]:
    """Batches of neighbours; the last one may be smaller."""
    for start in range(0, len(examples), size):
        yield collate(examples[start : start + size])
