"""What the loop reads: the batches of each step, and those of a validation check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from fintts_trainer.dataset import collate, cut
from fintts_trainer.order import share_of_step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fintts_trainer.config import TrainingConfig
    from fintts_trainer.encoded import EncodedDataset
    from fintts_trainer.families.base import Batch
    from fintts_trainer.order import Order, Samples


CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class StepData:
    """What one step learns from.

    Attributes:
        batches: its micro-batches.
        lengths: tokens that the model reads of each utterance.
        text_lengths: how many of them come before the first frame.
    """

    batches: list[Batch]
    lengths: Samples
    text_lengths: Samples

    @property
    def tokens(self) -> int:
        """Positions that are no padding."""
        return int(self.lengths.sum())

    @property
    def padding_share(self) -> float:
        """Of the positions that the model computes, 0 … 1."""
        computed = sum(batch.inputs[:, 0].numel() for batch in self.batches)
        return 1 - self.tokens / computed if computed else 0.0


@dataclass(frozen=True)
class Feed:
    """The data of a run, as the steps of process `rank` of `world` read them."""

    dataset: EncodedDataset
    training: Samples
    """numbers of the utterances to train on; the order's samples are places in here"""
    held_out: Samples
    """numbers of the others"""
    order: Order
    config: TrainingConfig
    rank: int = 0
    world: int = 1
    device: torch.device = CPU
    """for a GPU, batches lie in page-locked memory, from which it copies while it computes"""

    def steps(self, first: int, last: int) -> Iterator[StepData]:
        """The steps after `first` finished ones, until `last` are finished.

        Raises:
            DataProblem: the encoded data set was damaged meanwhile.
        """
        # Without this, the thread of each process would take memory of GPU 0.
        if self.device.index is not None:  # pyright: ignore[reportUnnecessaryComparison] # torch's stubs leave None out
            torch.cuda.set_device(self.device)
        for step in range(first, last):
            samples = share_of_step(self.order.samples_of_step(step), self.rank, self.world)
            yield self._step(self.training[samples])

    def validation(self) -> Iterator[Batch]:
        """All held-out utterances, those of like length together: the loss is a sum over labels.

        Raises:
            DataProblem: the encoded data set was damaged meanwhile.
        """
        lengths = self.dataset.lengths[self.held_out]
        for part in self._cut(self.held_out[np.argsort(lengths, kind="stable")]):
            yield self._collated(part)

    def _step(self, utterances: Samples) -> StepData:
        return StepData(
            batches=[self._collated(part) for part in self._cut(utterances)],
            lengths=self.dataset.lengths[utterances],
            text_lengths=self.dataset.text_lengths[utterances],
        )

    def _cut(self, utterances: Samples) -> list[Samples]:
        lengths = self.dataset.lengths[utterances]
        parts = cut(lengths, self.config.batch_size, self.config.tokens_per_micro_batch)
        return [utterances[part] for part in parts]

    def _collated(self, utterances: Samples) -> Batch:
        batch = collate([self.dataset.example(int(number)) for number in utterances])
        return batch.pinned() if self.device.type == "cuda" else batch
