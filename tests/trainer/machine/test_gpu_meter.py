"""How busy a GPU is, from samples between two steps."""

from __future__ import annotations

from fintts_trainer.machine.gpu_meter import GpuMeter, Sample
from fintts_trainer.machine.nvml import sampler_of


def test_a_step_has_the_mean_of_the_samples_since_the_last_one() -> None:
    meter = GpuMeter()
    answers = iter([Sample(0.5, 80), Sample(1.0, 80), None])
    meter.measure(lambda: next(answers), lambda _seconds: None)
    assert meter.values() == {"gpu_utilisation": 0.75, "gpu_memory_bytes": 80.0}
    assert meter.values() == {"gpu_utilisation": 0.75, "gpu_memory_bytes": 80.0}


def test_a_machine_without_a_driver_has_no_samples() -> None:
    assert sampler_of("00000000-0000-0000-0000-000000000000")() is None


def test_without_samples_there_are_no_values() -> None:
    assert GpuMeter().values() == {}
