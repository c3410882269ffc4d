"""Measures what is worth knowing of a GPU, with one command: the JSON goes into the README.

    python benchmarks/gpu.py [--device cuda|cpu] [--quick] [--trace FILE] [--codec FOLDER]

OpenAudio S1-mini's full shape (860 million random bfloat16 weights, 28 + 4 layers) with the
reference run's adapter: rank 8 on attention, MLP, embeddings and heads, float32. The steps are the
product's own (`fintts_trainer.loop.step`), over 8 and over 32 utterances of 100 text tokens and 300
frames, eager and compiled; on an H100 all of it is meant to take less than eight minutes. `--quick`
takes a narrow model of the same depth, one utterance and no compilation, to try the program on a
CPU.

- "beyond the weights" is the peak memory during the steps: adapter, gradients, moments,
  activations. "foreseen" is what the trainer computes from its two trial steps, without moments.
- MFU is `ModelShape.training_flops` a second over the best matrix product of the same type.
- The parts of a step are measured in an eager step that waits for each part.
- "of the CPU" is the relative difference between the first loss on this device and on a CPU.
- At last the adapter is merged into the base model's own files, as `fintts export --format fish`
  does; the merged folder is opened strictly, and its logits are compared with those of base and
  adapter. Merged weights are rounded to 8 bits, so they agree to about 2⁻⁸ of their size; the
  effect of the adapter itself is shown for comparison.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from gpu_model import DTYPE, config_of, data_of, examples_of, round_trip, write_base
from speak import seconds_of

from fintts_inputs.codec.find import find_codec
from fintts_inputs.config import LoraConfig
from fintts_trainer.codecs import open_codec
from fintts_trainer.loop.step import backward
from fintts_trainer.loop.step_clock import StepClock, matmul_peak, synchronize
from fintts_trainer.machine.memory import PeakMeter, need_of_step
from fintts_trainer.model.compiled import compile_layers
from fintts_trainer.model.flat_adapter import FlatAdapter
from fintts_trainer.model.fused_layers import fuse_layers, make_room
from fintts_trainer.model.lora import add_adapter, trainable

if TYPE_CHECKING:
    from peft import PeftModel

    from fintts_trainer.data.feed import StepData
    from fintts_trainer.families.fish import FishBase

CPU = torch.device("cpu")
RATE, MOST_NORM = 1e-3, 1.0
SPOKEN_FRAMES = 60


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps of one size."""

    utterances: int
    compiled: bool
    first_seconds: float
    """of the first step, with compilation"""
    seconds_per_step: float
    tokens_per_second: float
    mfu: float
    losses: list[float]
    beyond_the_weights_bytes: int
    foreseen_bytes: float


class Bench:
    """A model on a device, and its steps."""

    def __init__(self, base: FishBase, device: torch.device) -> None:
        self.base, self.device = base, device
        model = add_adapter(
            base.load(DTYPE), base.targets, LoraConfig(), base_name="S1-mini's shape", seed=1
        )
        fuse_layers(model)
        self.model: PeftModel = model.to(device).train()
        if device.type == "cuda":
            make_room(model)
        self.adapter = FlatAdapter(model, RATE)
        self.clock = StepClock(device)

    def step(self, data: StepData, number: int = 1) -> float:
        """One optimizer update; returns its loss."""
        self.clock.begin(number)
        losses = backward(self.model, self.adapter, data, self.device, self.clock, lambda: None)
        with self.clock.part("optimizer"):
            self.adapter.update(RATE, MOST_NORM, losses)
        return losses.sum().item()

    def measure(self, count: int, steps: int, peak: float, *, compiled: bool) -> Steps:
        """Takes a first step, and then so many."""
        data = data_of(self.base, count)
        tokens, batch = int(data.lengths.sum()), data.batches[0].inputs[:, 0].numel()
        started = time.perf_counter()
        losses = [self.step(data)]
        first = time.perf_counter() - started
        meter, seconds = PeakMeter(self.device), list[float]()
        for _ in range(steps):
            started = time.perf_counter()
            losses.append(self.step(data))
            synchronize(self.device)
            seconds.append(time.perf_counter() - started)
        beyond, typical = meter.bytes(), statistics.median(seconds)
        (example,) = examples_of(self.base, 1)
        need = need_of_step(self.model, example, self.device, self.adapter.drop)
        flops = count * self.base.shape.training_flops(
            int(data.text_lengths[0]), int(data.lengths[0] - data.text_lengths[0])
        )
        return Steps(
            utterances=count,
            compiled=compiled,
            first_seconds=first,
            seconds_per_step=typical,
            tokens_per_second=tokens / typical,
            mfu=flops / typical / peak,
            losses=losses,
            beyond_the_weights_bytes=beyond,
            foreseen_bytes=need.of(batch),
        )

    def parts(self, count: int) -> dict[str, float]:
        """Seconds by part of a step."""
        self.step(data_of(self.base, count), number=0)
        return self.clock.seconds

    def trace(self, count: int, path: Path) -> None:
        """Writes a profiler's trace of one step, for chrome://tracing."""
        data = data_of(self.base, count)
        with torch.profiler.profile() as profiler:
            self.step(data)
            synchronize(self.device)
        profiler.export_chrome_trace(str(path))


def speech(bench: Bench, frames: int) -> float:
    """Frames a second that the model generates with its adapter."""
    model = bench.model.eval()
    seconds_of(model, bench.base.shape, 2, cached=True)
    found = frames / seconds_of(model, bench.base.shape, frames, cached=True)
    model.train()
    return found


def codec_speed(folder: Path, device: torch.device) -> dict[str, float]:
    """Seconds of speech that the codec of a base model encodes and decodes in a second."""
    codec = open_codec(find_codec(folder), device)
    seconds = 10
    rate = codec.shape.sample_rate
    wave = np.random.default_rng(1).normal(0, 0.1, seconds * rate).astype(np.float32)
    (codes,) = codec.encode([wave])
    started = time.perf_counter()
    codec.encode([wave])
    encoded = time.perf_counter()
    codec.decode(codes)
    return {
        "encoded_seconds_a_second": seconds / (encoded - started),
        "decoded_seconds_a_second": seconds / (time.perf_counter() - encoded),
    }


def measure(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """All measurements, the quick ones first."""
    device = torch.device(options.device)
    (folder / "base").mkdir()
    base = write_base(folder / "base", config_of(quick=options.quick))
    peak = matmul_peak(device, DTYPE)
    sizes, steps = ((1,), 1) if options.quick else ((8, 32), 10)
    on_cpu = Bench(base, CPU).step(data_of(base, 1))
    bench = Bench(base, device)
    here = bench.step(data_of(base, 1))
    before = {name: one.detach().clone() for name, one in trainable(bench.model).items()}
    found: dict[str, object] = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "quick": options.quick,
        "peak_flops": peak,
        "of_the_cpu": abs(here - on_cpu) / on_cpu,
    }
    rows = [bench.measure(count, steps, peak, compiled=False) for count in sizes]
    found["parts_seconds"] = bench.parts(sizes[0])
    if options.trace is not None:
        bench.trace(sizes[0], options.trace)
    found["spoken_frames_a_second"] = speech(bench, 4 if options.quick else SPOKEN_FRAMES)
    if options.codec is not None:
        found["codec"] = codec_speed(options.codec, device)
    if not options.quick:
        compile_layers(bench.model)
        rows += [bench.measure(count, steps, peak, compiled=True) for count in sizes]
    found["steps"] = [asdict(row) for row in rows]
    still = [name for name, one in trainable(bench.model).items() if torch.equal(one, before[name])]
    found["tensors_that_did_not_change"] = still
    merged, difference, effect = round_trip(folder, base, bench.model)
    found["merge"] = {"matrices": merged, "difference": difference, "adapter_effect": effect}
    return found


def main() -> int:
    """Prints the measurements; 1 if a tensor of the adapter did not change."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cuda", "cpu"), default=kind)
    parser.add_argument("--quick", action="store_true", help="a narrow model, to try the program")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="for a profiler's trace")
    parser.add_argument("--codec", type=Path, metavar="FOLDER", help="a base model with its codec")
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), parser.parse_args())
    print(json.dumps(found, indent=1))
    return 1 if found["tensors_that_did_not_change"] else 0


if __name__ == "__main__":
    sys.exit(main())
