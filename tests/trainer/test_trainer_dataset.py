"""Order, batches and refusals of the training data."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from fintts_trainer.dataset import collate, in_batches, order_of_epoch
from fintts_trainer.families.base import IGNORE, Example
from fintts_trainer.families.fish import FishBase

seeds, epochs = st.integers(0, 2**32 - 1), st.integers(0, 10_000)


@given(seeds, epochs, st.integers(1, 300))
def test_an_epoch_visits_each_sample_once(seed: int, epoch: int, samples: int) -> None:
    assert sorted(order_of_epoch(seed, epoch, samples)) == list(range(samples))


@given(seeds, epochs)
def test_order_is_a_pure_function_of_seed_and_epoch(seed: int, epoch: int) -> None:
    before = order_of_epoch(seed, epoch, 100)
    np.random.default_rng(5).permutation(100)
    torch.rand(3)
    assert order_of_epoch(seed, epoch, 100) == before
    assert order_of_epoch(seed, epoch + 1, 100) != before
    assert order_of_epoch((seed + 1) % 2**32, epoch, 100) != before


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
    assert (batches[0].inputs[:, 0, 0] == base.tokenizer.interleave_id).all()
