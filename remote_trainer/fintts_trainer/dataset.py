"""Utterances as the model reads them, in an order that is a pure function of seed and epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from fintts_trainer.errors import DataProblem
from fintts_trainer.families.base import IGNORE, Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fintts_cost.schedule import Schedule
    from fintts_trainer.families.base import BaseModel, Example
    from fintts_trainer.pack import Pack


def encode_all(base: BaseModel, pack: Pack, indices: Iterable[int]) -> list[Example]:
    """The examples of these utterances, in the order given.

    Raises:
        DataProblem: an utterance does not fit the model; it is named.
    """
    return [_encode_one(base, pack, index) for index in indices]


def _encode_one(base: BaseModel, pack: Pack, index: int) -> Example:
    name, codes = pack.names[index], pack.codes(index).astype(np.int64)
    shape = base.shape
    if codes.shape[0] != shape.num_codebooks:
        raise DataProblem(
            f"utterance {name} has {codes.shape[0]} codebooks, "
            f"but the base model has {shape.num_codebooks}",
            "code the audio with the codec that belongs to the base model",
        )
    if codes.min() < 0 or codes.max() >= shape.codebook_size:
        raise DataProblem(
            f"utterance {name} holds the code {codes.max()}, "
            f"but the base model's codebooks end at {shape.codebook_size - 1}",
            "code the audio with the codec that belongs to the base model",
        )
    example = base.encode(pack.text(index), codes)
    if example.length - 1 > shape.max_seq_len:
        raise DataProblem(
            f"utterance {name} is {example.length - 1} tokens long, "
            f"but the base model reads {shape.max_seq_len} at most",
            "cut it into shorter utterances, or leave it out of the folder",
        )
    return example


def order_of_epoch(seed: int, epoch: int, samples: int) -> list[int]:
    """The permutation of 0 … samples - 1 in which an epoch goes through the training set.

    It depends on nothing but its arguments, so a resumed run sees the same batches.
    """
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch])))
    return [int(index) for index in generator.permutation(samples)]


def samples_of_step(schedule: Schedule, seed: int, step: int) -> list[int]:
    """Which training samples the step after `step` finished ones reads; the last of an epoch
    may be fewer than the others."""
    epoch, step_in_epoch = schedule.position(step)
    start = step_in_epoch * schedule.samples_per_step
    order = order_of_epoch(seed, epoch, schedule.samples)
    return order[start : start + schedule.samples_per_step]


def collate(examples: Sequence[Example]) -> Batch:
    """Pads on the right; what is padding carries no label, and causal attention never sees it."""
    width = max(example.length for example in examples) - 1
    rows = examples[0].tokens.shape[0]
    inputs = torch.zeros((len(examples), rows, width), dtype=torch.int64)
    labels = torch.full_like(inputs, IGNORE)
    for row, example in enumerate(examples):
        tokens = torch.from_numpy(example.tokens)
        first, last = example.text_length - 1, example.length - 1
        inputs[row, :, :last] = tokens[:, :-1]
        labels[row, :, first:last] = tokens[:, first + 1 :]
        if not example.end_has_codes:
            labels[row, 1:, last - 1] = IGNORE
    return Batch(inputs, labels)


def in_batches(examples: Sequence[Example], size: int) -> Iterator[Batch]:
    """Batches of neighbours, the last one perhaps smaller."""
    for start in range(0, len(examples), size):
        yield collate(examples[start : start + size])
