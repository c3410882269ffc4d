"""Measures what Python and torch's dispatcher take for a step, beside PEFT's own.

    python benchmarks/host.py [--rounds N]

A GPU stands still while the CPU prepares its next launch. The models have S1-mini's 28 + 4 layers,
float32 and a tiny width, so that a CPU's kernels take little of forward and backward: one is
computed by transformers and PEFT, one by the product, in turn. CPU time of one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING

import torch
from launches import CPU, adapted_model, data_of, narrow_shape

from fintts_trainer.loop.step import backward, mean_losses
from fintts_trainer.loop.step_clock import StepClock
from fintts_trainer.model.flat_adapter import FlatAdapter
from fintts_trainer.model.fused_layers import fuse_layers

if TYPE_CHECKING:
    from collections.abc import Callable


def peft_s_own() -> Callable[[], object]:
    """Forward and backward of PEFT's model."""
    shape = narrow_shape()
    model, data = adapted_model(shape, torch.float32), data_of(shape)

    def run() -> None:
        model.zero_grad()
        predictions = model(data.batches[0])
        torch.autograd.backward(mean_losses(predictions, data.label_count, data.code_count))

    return run


def the_product_s() -> Callable[[], object]:
    """Forward and backward of the same model with fused layers and one tensor for the adapter."""
    shape = narrow_shape()
    model, data, clock = adapted_model(shape, torch.float32), data_of(shape), StepClock(CPU)
    fuse_layers(model)
    adapter = FlatAdapter(model, 1e-3)
    return lambda: backward(model, adapter, data, CPU, clock, lambda: None)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    ways = {"PEFT's own": peft_s_own(), "fused layers": the_product_s()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 2):
        for name, run in ways.items():
            started = time.process_time()
            run()
            if number >= 2:  # the first ones set up
                seconds[name].append(time.process_time() - started)
    own = statistics.median(seconds["PEFT's own"])
    for name, found in seconds.items():
        typical = statistics.median(found)
        print(f"{name:<14}{typical * 1e3:>8.0f} ms {typical / own:>6.2f}")


if __name__ == "__main__":
    main()
