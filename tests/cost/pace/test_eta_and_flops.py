"""Speed on paper, speed as measured, and what is known about accelerators and memory."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

import fintts_cost
from checks import every
from fintts_cost.errors import EstimateError, UnknownAccelerator
from fintts_cost.gpus.accelerators import ACCELERATORS, find
from fintts_cost.gpus.memory import MemoryModel
from fintts_cost.money import cost_so_far_usd, cost_to_finish_usd
from fintts_cost.pace.eta import EtaMeter
from fintts_cost.pace.flops import attention_flops, flops_per_step, seconds_per_step
from fintts_cost.training.schedule import Schedule

SCHEDULE = Schedule(samples=100, max_steps=100, validation_every=10)


def test_frozen_weights_need_no_gradient() -> None:
    assert flops_per_step(frozen=10, trained=0, tokens=3) == 120
    assert flops_per_step(frozen=0, trained=10, tokens=3) == 180
    assert attention_flops(layers=2, width=4, length=5) == 1200


@pytest.mark.parametrize("mfu", [0.0, -0.1, 1.01, math.nan])
def test_a_utilisation_is_a_share(mfu: float) -> None:
    with pytest.raises(EstimateError, match="utilisation"):
        seconds_per_step(1e12, find("A100"), mfu)


def test_twice_the_speed_is_half_the_time() -> None:
    assert seconds_per_step(1e13, find("L4")) > seconds_per_step(1e13, find("H100"))


def measured(*seconds: float) -> EtaMeter:
    meter = EtaMeter(warmup_steps=2)
    for each in seconds:
        meter = meter.after_step(each)
    return meter


def test_the_first_steps_are_left_out() -> None:
    assert measured(60.0, 30.0, 1.0, 3.0).seconds_per_step == 2.0


def test_no_eta_before_a_step_counted() -> None:
    assert measured(60.0, 30.0).seconds_per_step is None
    assert measured(60.0, 30.0).eta_seconds(SCHEDULE, 2) is None


def test_the_eta_counts_the_checks_that_are_still_to_come() -> None:
    meter = measured(9.0, 9.0, 2.0).after_check(5.0).after_check(7.0)
    assert meter.seconds_per_check == 6.0
    assert meter.eta_seconds(SCHEDULE, 75) == 25 * 2.0 + 3 * 6.0


def test_the_eta_counts_the_saves_that_are_still_to_come() -> None:
    meter = measured(9.0, 9.0, 2.0).after_save(1.0).after_save(4.0)
    every_30 = replace(SCHEDULE, checkpoint_every=30)
    assert meter.eta_seconds(every_30, 75) == 25 * 2.0 + 2 * 2.5, "after steps 90 and 100"
    assert meter.seconds_between(every_30, 75, 90) == 15 * 2.0 + 2.5


def test_nothing_is_left_after_the_last_step() -> None:
    assert measured().eta_seconds(SCHEDULE, 100) == 0.0
    assert measured().eta_seconds(SCHEDULE, 101) == 0.0


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_a_duration_is_a_duration(seconds: float) -> None:
    with pytest.raises(EstimateError):
        EtaMeter().after_step(seconds)
    with pytest.raises(EstimateError):
        EtaMeter().after_check(seconds)
    with pytest.raises(EstimateError):
        EtaMeter().after_save(seconds)
    with pytest.raises(EstimateError):
        measured(1.0, 1.0, 1.0).eta_seconds(SCHEDULE, -1)


def test_dollars_so_far_and_to_go() -> None:
    rate = Decimal("1.20")
    assert cost_so_far_usd(15960, rate) == Decimal("5.32")
    assert cost_so_far_usd(-3.0, rate) == 0
    assert cost_to_finish_usd(300.0, rate) == Decimal("0.1")
    assert cost_to_finish_usd(None, rate) is None


def test_names_are_found_in_any_case() -> None:
    assert find(" a100-80gb ") is ACCELERATORS["A100-80GB"]
    assert ACCELERATORS["A100"].memory_bytes == 40 * 10**9
    assert every(a.memory_gb > 0 and a.bf16_tflops > 0 for a in ACCELERATORS.values())


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("A100-80", "no accelerator named 'A100-80'", "did you mean A100-80GB"),
        ("H1000", "no accelerator named 'H1000'", "did you mean H100"),
        ("zzz", "no accelerator named 'zzz'", "known are A10"),
        ("", "no accelerator named ''", "known are A10"),
        ("v100", "V100 does not compute in bfloat16", "use one of A10"),
    ],
)
def test_an_unknown_accelerator(name: str, message: str, hint: str) -> None:
    with pytest.raises(UnknownAccelerator) as caught:
        find(name)
    assert message in caught.value.message
    assert caught.value.hint.startswith(hint)


def test_a_peak_below_the_weights_calibrates_nothing() -> None:
    model = MemoryModel(100, 10, 10, 10, sample_bytes=5)
    assert model.calibrate(230, 4).total_bytes(4) == 230
    for peak, batch_size in ((130, 4), (0, 4), (200, 0)):
        with pytest.raises(EstimateError):
            model.calibrate(peak, batch_size)


def test_the_arithmetic_imports_the_standard_library_alone() -> None:
    program = (
        "import sys, pkgutil, importlib, fintts_cost\n"
        "for m in pkgutil.iter_modules(fintts_cost.__path__):\n"
        "    importlib.import_module('fintts_cost.' + m.name)\n"
        "roots = {name.partition('.')[0] for name in sys.modules}\n"
        "allowed = sys.stdlib_module_names | {'fintts_cost', '__main__', '__mp_main__'}\n"
        "print(*sorted(r for r in roots - allowed if not r.startswith('_')))\n"
    )
    found = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": str(Path(fintts_cost.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == ""
