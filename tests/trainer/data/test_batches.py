"""Batches: what is padding, what is a label, and how a step is cut."""

from __future__ import annotations

import numpy as np
import torch

from fintts_trainer.data.batches import collate, cut, in_batches
from fintts_trainer.families.base import IGNORE, Example
from fintts_trainer.families.fish import FishBase


def test_a_batch_shifts_labels_by_one_and_leaves_text_unlabelled(examples: list[Example]) -> None:
    batch = collate(examples)
    width = max(example.length for example in examples) - 1
    assert batch.inputs.shape == batch.labels.shape == (5, 5, width)
    for row, example in enumerate(examples):
        tokens = torch.from_numpy(example.tokens)
        inputs, labels = batch.inputs[row], batch.labels[row]
        end = example.length - 1
        assert torch.equal(inputs[:, :end], tokens[:, :-1])
        labelled = labels[0] != IGNORE
        assert labelled.nonzero()[:, 0].tolist() == list(range(example.text_length - 1, end))
        after_text = tokens[:, example.text_length :].clone()
        after_text[1:, -1] = IGNORE  # Fish Speech's end is one token, without codes
        assert torch.equal(labels[:, labelled], after_text)


def test_batches_cover_all_examples_in_order(base: FishBase, examples: list[Example]) -> None:
    batches = list(in_batches(examples, 2))
    assert [batch.inputs.shape[0] for batch in batches] == [2, 2, 1]
    labels = sum(batch.label_count for batch in batches)
    assert labels == collate(examples).label_count
    assert (batches[0].inputs[:, 0, 0] == base.tokenizer.id_of("<|interleave|>")).all()


def test_without_a_budget_neighbours_stay_together() -> None:
    parts = cut(np.array([5, 90, 7, 8, 9]), batch_size=2, tokens=None)
    assert [part.tolist() for part in parts] == [[0, 1], [2, 3], [4]]


def test_with_a_budget_a_long_utterance_stands_alone() -> None:
    parts = cut(np.array([5, 90, 7, 8, 9]), batch_size=2, tokens=30)
    assert [part.tolist() for part in parts] == [[1], [4, 3, 2], [0]]
