"""Counts the kernels that compiled layers launch, and the graphs, at S1-mini's depth.

    python benchmarks/compiled_launches.py

What is counted is the code that Inductor generates for this CPU: each call of a generated kernel,
of a matrix product and of any other operation, as often as a step runs that code. No C++ compiler
takes part: a generated kernel does nothing here, so the step's numbers are arbitrary, which changes
no count. Inductor fuses in the same way for a GPU, except that a GPU's kernels are limited in other
ways, so its number may differ a little. To that comes what a step runs outside of the layers,
counted as `benchmarks/launches.py` does.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from launches import GpuKernels, LaunchCounter, narrow_shape, step_of
from torch._dynamo.utils import counters
from torch._inductor import config
from torch._inductor.async_compile import AsyncCompile
from torch._inductor.output_code import CompiledFxGraph

from fintts_trainer.model.compiled import compile_layers

if TYPE_CHECKING:
    from collections.abc import Generator

    from fintts_inputs.base_model.shape import ModelShape

KERNEL = re.compile(
    r"^ +(?:\w+ = )?(?:cpp_fused_|extern_kernels\.|torch\.ops\.)[\w.]+\(", re.MULTILINE
)
"""a line of generated code that launches something"""


@dataclass(frozen=True, slots=True)
class CompiledCounts:
    """What one step with compiled layers asks of the device."""

    in_layers: int
    elsewhere: int
    graphs: int
    """of forward; each has one of backward"""

    @property
    def launches(self) -> int:
        """Of a whole step."""
        return self.in_layers + self.elsewhere


def kernels_in(code: str) -> int:
    """Launches of generated code."""
    return len(KERNEL.findall(code))


def with_layers(shape: ModelShape, slow: int, fast: int) -> ModelShape:
    """The shape with so many layers."""
    return replace(
        shape,
        slow=replace(shape.slow, layers=slow),
        second=replace(shape.fast, layers=fast),
    )


def eager_launches(shape: ModelShape) -> int:
    """Of a step that is not compiled."""
    step, counter = step_of(shape), LaunchCounter()
    step()
    with GpuKernels(counter), counter:
        step()
    return counter.counts().launches


def launches_elsewhere(shape: ModelShape) -> int:
    """Those of a step with one layer in each network, less those of the two layers."""
    one = eager_launches(with_layers(shape, 1, 1))
    slow = eager_launches(with_layers(shape, 2, 1)) - one
    fast = eager_launches(with_layers(shape, 1, 2)) - one
    return one - slow - fast


@contextmanager
def empty_kernels(runs: Counter[str]) -> Generator[None]:
    """Generates code without compiling it, and counts in `runs` how often each graph's runs."""
    run: Any = CompiledFxGraph.__call__
    compile_kernel: Any = AsyncCompile.cpp_pybinding

    def counted_run(graph: CompiledFxGraph, inputs: Any) -> Any:
        runs[graph.source_code] += 1
        return run(graph, inputs)

    # one thread and no cache: other processes would compile, and know nothing of this
    changed = {"compile_threads": 1, "force_disable_caches": True, "cpp.vec_isa_ok": True}
    with config.patch(changed):
        CompiledFxGraph.__call__ = counted_run  # type: ignore[method-assign]
        AsyncCompile.cpp_pybinding = lambda *_: _do_nothing  # type: ignore[assignment]
        try:
            yield
        finally:
            CompiledFxGraph.__call__ = run  # type: ignore[method-assign]
            AsyncCompile.cpp_pybinding = compile_kernel  # type: ignore[method-assign]


def _do_nothing(*_: object) -> None:
    """Stands for a generated kernel."""


def counted() -> CompiledCounts:
    """The counts of a step after the one that generates the code."""
    shape, runs = narrow_shape(), Counter[str]()
    with empty_kernels(runs):
        step = step_of(shape, prepare=compile_layers)
        counters.clear()
        step()
        runs.clear()
        step()
    in_layers = sum(kernels_in(code) * count for code, count in runs.items())
    graphs = counters["stats"]["unique_graphs"]
    return CompiledCounts(in_layers, launches_elsewhere(shape), graphs)


def main() -> None:
    """Counts and prints."""
    torch.set_num_threads(1)
    counts = counted()
    content = {"launches": counts.launches, **asdict(counts)}
    sys.stdout.write(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
