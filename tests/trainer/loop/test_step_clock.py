"""Where the time of a step goes, and the rate that it is compared with."""

from __future__ import annotations

import time

import torch

from fintts_trainer.loop.step_clock import StepClock, matmul_peak, memory_peak_bytes

CPU = torch.device("cpu")


def test_parts_add_up_until_the_next_step() -> None:
    clock = StepClock(CPU)
    clock.begin(7)
    for _ in range(2):
        with clock.part("forward"):
            time.sleep(0.01)
    with clock.part("backward"):
        pass
    seconds = clock.seconds
    assert seconds["forward"] >= 0.02
    assert seconds["backward"] < seconds["forward"]
    clock.begin(8)
    assert clock.seconds == {}


def test_a_gpu_is_waited_for_in_few_steps_only() -> None:
    clock = StepClock(torch.device("meta"))  # some device that works on its own
    measured = []
    for step in range(30):
        clock.begin(step)
        with clock.part("forward"):
            pass
        if clock.seconds:
            measured.append(step)
    assert measured == [0, 10, 20]


def test_the_peak_is_a_rate_that_no_product_exceeds_by_much() -> None:
    peak = matmul_peak(CPU, torch.float32)
    size = 512
    matrix = torch.rand(size, size)
    start = time.perf_counter()
    for _ in range(5):
        matrix @ matrix
    rate = 5 * 2 * size**3 / (time.perf_counter() - start)
    assert 0 < rate < 20 * peak


def test_memory_is_that_of_the_process() -> None:
    before = memory_peak_bytes(CPU)
    kept = torch.ones(100_000_000, dtype=torch.uint8)
    assert memory_peak_bytes(CPU) >= before
    assert memory_peak_bytes(CPU) > kept.numel()
