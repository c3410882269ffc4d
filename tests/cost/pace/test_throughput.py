"""The time of a step before anything is measured: a range, with a floor under small models."""

from __future__ import annotations

import pytest

from fintts_cost.errors import EstimateError
from fintts_cost.gpus.accelerators import ACCELERATORS, find
from fintts_cost.pace.throughput import FASTEST, Work, efficiency, slowest, step_seconds
from fintts_cost.reference.run import REFERENCE_RUN, reference_flops_per_step

A100, H100 = find("A100-80GB"), find("H100-SXM")
REFERENCE = Work(reference_flops_per_step(), 32)


def test_the_reference_run_is_the_slow_end() -> None:
    assert slowest() == pytest.approx(0.0077, abs=5e-5)
    high = step_seconds(REFERENCE, A100).high
    assert high == pytest.approx(float(REFERENCE_RUN.seconds_per_step), rel=0.01)


def test_the_likely_share_follows_the_roofline() -> None:
    assert 0.24 <= efficiency(A100).likely <= 0.30
    assert 0.12 <= efficiency(H100).likely <= 0.15


@pytest.mark.parametrize("name", ACCELERATORS)
def test_every_range_is_in_order(name: str) -> None:
    for found in (efficiency(find(name)), step_seconds(REFERENCE, find(name))):
        assert 0 < found.low <= found.likely <= found.high
    assert efficiency(find(name)).high == FASTEST


def test_s1_mini_launches_as_many_kernels_as_are_counted() -> None:
    """tests/trainer/test_launches.py compares this with the trainer."""
    assert REFERENCE.launches == 2174


def test_a_tiny_model_takes_as_long_as_its_launches() -> None:
    tiny = Work(1e6, 3)
    assert step_seconds(tiny, A100) == step_seconds(tiny, H100)
    assert step_seconds(tiny, A100).low > 0.0025
    assert step_seconds(tiny._replace(micro_batches=4), A100).likely == pytest.approx(
        4 * step_seconds(tiny, A100).likely
    )


def test_two_gpus_halve_the_work_and_not_the_launches() -> None:
    assert step_seconds(REFERENCE, A100, 2).likely < step_seconds(REFERENCE, A100).likely
    assert step_seconds(REFERENCE, A100, 64).likely == step_seconds(REFERENCE, A100, 32).likely
    with pytest.raises(EstimateError):
        step_seconds(REFERENCE, A100, 0)
