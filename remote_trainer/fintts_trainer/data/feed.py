"""The batches of each step, and those of a validation check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from fintts_trainer.data.batches import collate, cut
from fintts_trainer.data.order import share_of_step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fintts_inputs.config import TrainingConfig
    from fintts_trainer.data.encoded import EncodedDataset
    from fintts_trainer.data.order import Order, Samples
    from fintts_trainer.families.base import Batch


CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class StepData:
    """The data of one step, and the part that this process computes.

    Attributes:
        batches: the micro-batches of this process; empty if there are more processes than
            samples.
        lengths: tokens that the model reads of each utterance of the whole step.
        text_lengths: how many of these come before the first frame.
        label_count: row-0 labels of the whole step.
        code_count: labels of its other rows.
        padding_share: of the positions that this process computes, 0 … 1.
    """

    batches: list[Batch]
    lengths: Samples
    text_lengths: Samples
    label_count: int
    code_count: int
    padding_share: float

    @property
    def tokens(self) -> int:
        """Positions of the whole step without padding."""
        return int(self.lengths.sum())


@dataclass(frozen=True)
class Feed:
    """The data of a run, as the steps of process `rank` of `world` read them."""

    dataset: EncodedDataset
    training: Samples
    """numbers of the utterances to train on; the order's samples are indices into these"""
    held_out: Samples
    """numbers of the others"""
    order: Order
    config: TrainingConfig
    rank: int = 0
    world: int = 1
    device: torch.device = CPU
    """a GPU's batches lie in page-locked memory, so that it copies while it computes"""
    memory_tokens: int | None = None
    """the largest micro-batch that fits into memory, if smaller than the configuration's"""

    def steps(self, first: int, last: int) -> Iterator[StepData]:
        """Yields the steps after `first` finished ones, up to `last`.

        Raises:
            DataProblem: the encoded data set was damaged meanwhile.
        """
        # Without this, the thread of each process would take memory of GPU 0.
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        for step in range(first, last):
            yield self._step(self.training[self.order.samples_of_step(step)])

    def validation(self) -> Iterator[Batch]:
        """This process's share of the held-out utterances, batched by similar length. The loss is a
        sum over labels, so the shares add up to the loss of all.

        Raises:
            DataProblem: the encoded data set was damaged meanwhile.
        """
        lengths = self.dataset.lengths[self.held_out]
        parts = self._cut(self.held_out[np.argsort(lengths, kind="stable")])
        for part in parts[self.rank :: self.world]:
            yield self._collated(part)

    def _step(self, utterances: Samples) -> StepData:
        lengths = self.dataset.lengths[utterances]
        text_lengths = self.dataset.text_lengths[utterances]
        labels = int((lengths + 1 - text_lengths).sum())  # each frame, and an end
        frames = labels if self.dataset.end_has_codes else labels - len(utterances)
        mine = share_of_step(utterances, self.rank, self.world)
        batches = [self._collated(part) for part in self._cut(mine)]
        computed = sum(batch.inputs[:, 0].numel() for batch in batches)
        useful = int(self.dataset.lengths[mine].sum())
        return StepData(
            batches=batches,
            lengths=lengths,
            text_lengths=text_lengths,
            label_count=labels,
            code_count=frames * (self.dataset.rows - 1),
            padding_share=1 - useful / computed if computed else 0.0,
        )

    def _cut(self, utterances: Samples) -> list[Samples]:
        lengths = self.dataset.lengths[utterances]
        tokens = self.memory_tokens or self.config.tokens_per_micro_batch
        parts = cut(lengths, self.config.batch_size, tokens)
        return [utterances[part] for part in parts]

    def _collated(self, utterances: Samples) -> Batch:
        batch = collate([self.dataset.example(int(number)) for number in utterances])
        return batch.pinned() if self.device.type == "cuda" else batch
