"""Scores become probabilities as in the reference, and draws depend on their seed alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fintts_trainer.synthesis.recent import FRAMES, as_fish_1_5, as_fish_s1, own_row
from fintts_trainer.synthesis.request import Sampling
from fintts_trainer.synthesis.sampling import Sampler, penalised, probabilities
from parity_fixtures import recorded_folders

CPU = torch.device("cpu")


@pytest.mark.parity
@pytest.mark.parametrize("folder", recorded_folders("sampling.json"), ids=lambda path: path.name)
def test_probabilities_are_those_of_the_reference(folder: Path) -> None:
    cases = json.loads((folder / "sampling.json").read_text())
    recorded = load_file(folder / "sampling.safetensors")
    assert len(cases) >= 7
    for number, case in enumerate(cases):
        recent = recorded.get(f"{number}.previous")
        past = None if recent is None else recent.long()
        sampling = Sampling(case["temperature"], case["top_p"], None, case["repetition_penalty"])
        scores = penalised(recorded[f"{number}.logits"], past, case["repetition_penalty"])
        found = probabilities(scores, sampling)
        torch.testing.assert_close(found, recorded[f"{number}.probabilities"], atol=1e-6, rtol=0)
        assert int((found > 0).sum()) == case["kept"]


def test_a_class_is_penalised_once_however_often_it_came() -> None:
    scores = torch.tensor([2.0, -2.0, 1.0])
    found = penalised(scores, torch.tensor([0, 1, 0, 1]), 2.0)
    assert found.tolist() == [1.0, -4.0, 1.0]


def test_top_k_keeps_the_likeliest() -> None:
    found = probabilities(torch.tensor([1.0, 4.0, 3.0, 2.0]), Sampling(1.0, top_k=2))
    assert (found > 0).tolist() == [False, True, True, False]


def test_draws_follow_the_probabilities() -> None:
    scores = torch.tensor([0.0, 1.0, 2.0])
    sampling = Sampling(1.0)
    sampler = Sampler(sampling, 1, CPU)
    drawn = torch.stack([sampler.draw(scores) for _ in range(3000)]).bincount(minlength=3) / 3000
    torch.testing.assert_close(drawn, probabilities(scores, sampling), atol=0.04, rtol=0)


def test_draws_depend_on_their_seed_and_leave_other_generators_alone() -> None:
    scores = torch.zeros(1000)
    before = torch.get_rng_state()
    sampler, again, other = (Sampler(Sampling(1.0), seed, CPU) for seed in (7, 7, 8))
    first = [int(sampler.draw(scores)) for _ in range(5)]
    torch.rand(3)
    assert [int(again.draw(scores)) for _ in range(5)] == first
    assert [int(other.draw(scores)) for _ in range(5)] != first
    torch.set_rng_state(before)
    Sampler(Sampling(1.0), 7, CPU).draw(scores)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_temperature_of_zero_takes_the_likeliest() -> None:
    scores = torch.tensor([0.0, 1e-6, 0.0])
    assert int(Sampler(Sampling(0.0), 3, CPU).draw(scores)) == 1


def test_the_penalty_looks_at_the_last_values_of_its_own_row() -> None:
    columns = torch.arange(3 * 20).view(3, 20)
    assert own_row(columns[:, :0], 0) is None
    found = own_row(columns, 1)
    assert found is not None
    assert found.tolist() == list(range(24, 40))


def test_the_reference_s_slips_can_be_had() -> None:
    columns = 100 + torch.arange(3 * 20).view(3, 20)
    for rule in (as_fish_s1, as_fish_1_5):
        assert rule(columns[:, :0], 1) is None
        early = rule(columns[:, :3], 1)
        assert early is not None
        assert early.tolist() == [121, 122, *[0] * (FRAMES - 2)]
        late = rule(columns, 2)
        assert late is not None
        assert late.tolist() == list(range(144, 160))
    oldest, row = as_fish_s1(columns, 0), as_fish_1_5(columns, 0)
    assert oldest is not None
    assert row is not None
    assert oldest.tolist() == [104, 124, 144]
    assert row.tolist() == list(range(104, 120))
