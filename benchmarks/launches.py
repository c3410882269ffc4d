"""Counts what a training step asks of a GPU, on this CPU: kernels, casts and reads.

    python benchmarks/launches.py [--json]

A GPU computes the operations of a step as fast as the CPU can launch them, and stands still while
the CPU waits for a number that it has computed. The counts need no GPU: they are those of the
product's own step (`fintts_trainer.loop.step`), with S1-mini's 28 + 4 layers in bfloat16, its
default adapter and one micro-batch; the width is small, since it changes no count.

- A launch is an operation that computes or copies: views and allocations are free. `F.rms_norm`
  counts as one forward and one backward, as on a GPU; a CPU composes it of others. Attention
  chooses between kernel and products as on a GPU, whose backward is in fact three kernels.
- A cast is a launch that changes the type of numbers.
- A read is an operation whose result the CPU has to wait for: `item()`, a mask as an index.

The table gives the time of a step of 8 utterances of 100 text tokens and 300 frames on four GPUs,
as `fintts estimate` computes it: what is slower, the GPU or the launches.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from fintts_cost.gpus.accelerators import ACCELERATORS
from fintts_cost.pace.throughput import HOST_SECONDS, Work, efficiency
from fintts_inputs.base_model.families import read_shape
from fintts_inputs.config import LoraConfig
from fintts_trainer.data.batches import collate
from fintts_trainer.data.feed import StepData
from fintts_trainer.families.base import Example
from fintts_trainer.families.fish import TARGETS
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.loop.step import backward
from fintts_trainer.loop.step_clock import StepClock
from fintts_trainer.model import layer_nodes
from fintts_trainer.model.flat_adapter import FlatAdapter
from fintts_trainer.model.fused_layers import FusedLayer, fuse_layers, make_room
from fintts_trainer.model.lora import add_adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from peft import PeftModel

    from fintts_inputs.base_model.shape import ModelShape

S1_MINI = Path(__file__).with_name("s1_mini")
CPU = torch.device("cpu")
TEXT_TOKENS, FRAMES, UTTERANCES = 100, 300, 8
GPUS = ("H100", "A100-80GB", "L40S", "RTX4090")

FREE = (
    *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"),
    *("detach", "alias", "lift", "lift_fresh", "_unsafe_view", "_reshape_alias", "set_", "resize_"),
)
"""operations that launch nothing, beside views"""
READS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2")


@dataclass(frozen=True, slots=True)
class Counts:
    """What one step asks of the device."""

    launches: int
    casts: int
    reads: int


class LaunchCounter(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch: untyped
    """Counts the operations of its block by name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch: untyped
        self.launches, self.reads = Counter[str](), Counter[str]()
        self.casts = 0

    @contextmanager
    def as_one(self, name: str) -> Generator[None]:
        """Counts the block as a single launch."""
        before = self.launches.copy(), self.casts
        yield
        self.launches, self.casts = before
        self.launches[name] += 1

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Runs and counts one operation."""
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        if name in READS or (name == "index" and any(map(_is_mask, args[1]))):
            self.reads[name] += 1
        elif func.namespace == "aten" and not func.is_view and name not in FREE:
            self.launches[name] += 1
            self.casts += _is_cast(name, args, result)
        return result

    def counts(self) -> Counts:
        """The sums."""
        return Counts(self.launches.total(), self.casts, self.reads.total())


class GpuKernels(TorchFunctionMode):
    """Lets a counter see a norm as a GPU does: one kernel forward, and one backward."""

    def __init__(self, counter: LaunchCounter) -> None:
        super().__init__()
        self._counter = counter
        self._norms = layer_nodes.normed, layer_nodes.norm_gradient

    def __enter__(self) -> Self:
        """Begins."""
        layer_nodes.normed = self._as_one(self._norms[0], "rms_norm")
        layer_nodes.norm_gradient = self._as_one(self._norms[1], "rms_norm_backward")
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Ends."""
        super().__exit__(*error)
        layer_nodes.normed, layer_nodes.norm_gradient = self._norms

    def _as_one(self, norm: Callable[..., Any], name: str) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            with self._counter.as_one(name):
                return norm(*args)

        return counted

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Runs one function."""
        if func is not F.rms_norm:
            return func(*args, **(kwargs or {}))
        return _OneKernel.apply(self._counter, *args)  # type: ignore[no-untyped-call] # torch: untyped


class _OneKernel(torch.autograd.Function):
    """`F.rms_norm` with a frozen weight, counted as one operation in each direction."""

    @staticmethod
    def forward(ctx: Any, counter: LaunchCounter, states: Tensor, *others: Any) -> Tensor:
        ctx.counter, ctx.states = counter, states.detach().requires_grad_()
        with counter.as_one("rms_norm"), torch.enable_grad():
            ctx.result = F.rms_norm(ctx.states, *others)
        return cast("Tensor", ctx.result.detach())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride] # torch: untyped
        with ctx.counter.as_one("rms_norm_backward"):
            (found,) = torch.autograd.grad(ctx.result, ctx.states, grad)
        return None, found, None, None, None


def _is_mask(index: object) -> bool:
    return isinstance(index, Tensor) and index.dtype == torch.bool


def _is_cast(name: str, args: tuple[Any, ...], result: Any) -> bool:
    source = args[1] if name == "copy_" else args[0]
    return name in ("_to_copy", "copy_") and bool(source.dtype != result.dtype)


def narrow_shape() -> ModelShape:
    """S1-mini's layers, heads and codebooks; nothing else of it is as large."""
    shape = read_shape(S1_MINI)
    slow, fast = (
        replace(stack, dim=64, head_dim=8, heads=4, kv_heads=2, intermediate=32)
        for stack in (shape.slow, shape.fast)
    )
    return replace(shape, vocab_size=256, codebook_size=64, slow=slow, second=fast)


def adapted_model(shape: ModelShape, dtype: torch.dtype = torch.bfloat16) -> PeftModel:
    """A random model of this shape with the default adapter."""
    torch.manual_seed(1)
    base = DualAR(shape, first_code(shape), shape.vocab_size - 1)
    base.to(dtype).requires_grad_(requires_grad=False)
    base.add_tables()
    return add_adapter(base, TARGETS, LoraConfig(), base_name="narrow S1-mini", seed=1).train()


def first_code(shape: ModelShape) -> int:
    """The codes of row 0 are the last tokens."""
    return shape.vocab_size - shape.codebook_size


def step_of(
    shape: ModelShape, prepare: Callable[[nn.Module], object] = lambda model: None
) -> Callable[[], object]:
    """The product's step on a random model of this shape, to be called again and again.

    Args:
        prepare: is called with the model before its first step.
    """
    model = adapted_model(shape)
    fuse_layers(model)
    for module in model.modules():
        if isinstance(module, FusedLayer):
            module.device_type = "cuda"
    make_room(model)
    prepare(model)
    adapter = FlatAdapter(model, 1e-3)
    data, clock = data_of(shape), StepClock(CPU)

    def step() -> None:
        adapter.update(1e-3, 1.0, backward(model, adapter, data, CPU, clock, lambda: None))

    return step


def data_of(shape: ModelShape) -> StepData:
    """Two utterances as one micro-batch, long enough for a GPU's kernel of attention."""
    generator = np.random.default_rng(1)
    examples = list[Example]()
    for text, frames in ((6, 30), (8, 40)):
        tokens = np.zeros((1 + shape.num_codebooks, text + frames + 1), dtype=np.int64)
        tokens[1:, text:-1] = generator.integers(
            0, shape.codebook_size, (tokens.shape[0] - 1, frames)
        )
        tokens[0, text:-1] = tokens[1, text:-1] + first_code(shape)
        examples.append(Example(tokens, text, end_has_codes=False))
    batch = collate(examples)
    lengths, texts = (
        np.array(values)
        for values in zip(*((one.length - 1, one.text_length) for one in examples), strict=True)
    )
    return StepData([batch], lengths, texts, batch.label_count, batch.code_count, 0.0)


def counted() -> LaunchCounter:
    """The counter after a step that follows others: the first one makes the optimizer's state."""
    step, counter = step_of(narrow_shape()), LaunchCounter()
    step()
    with GpuKernels(counter), counter:
        step()
    return counter


def table(launches: int) -> str:
    """The time of a step on each GPU, and what it waits for."""
    work = Work(UTTERANCES * read_shape(S1_MINI).training_flops(TEXT_TOKENS, FRAMES), 32)
    lines = [f"{'GPU':<12}{'computes ms':>14}{'launches ms':>14}{'slower':>10}{'MFU':>7}"]
    for name in GPUS:
        gpu = ACCELERATORS[name]
        peak = gpu.bf16_tflops * 1e12
        computes, launching = (
            work.flops / peak / efficiency(gpu).likely,
            launches * HOST_SECONDS.likely,
        )
        slower = "GPU" if computes > launching else "launches"
        mfu = work.flops / peak / max(computes, launching)
        lines.append(
            f"{name:<12}{computes * 1e3:>14.0f}{launching * 1e3:>14.0f}{slower:>10}{mfu:>7.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Counts and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    counter = counted()
    counts = counter.counts()
    if options.json:
        content = {**asdict(counts), "by_operation": dict(counter.launches.most_common())}
        sys.stdout.write(json.dumps(content, indent=1) + "\n")
        return
    print(f"{counts.launches:,} launches, {counts.casts:,} of them casts; {counts.reads} reads")
    for name, count in counter.launches.most_common(12):
        print(f"{count:>8,} {name}")
    print(table(counts.launches))


if __name__ == "__main__":
    main()
