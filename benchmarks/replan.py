"""Measures the error of the cost that an instance forecasts after 20 measured steps.

    python benchmarks/replan.py [--steps N] [--only NAME] [--wall] [--json]

Trains runs of different base models, batches and lengths of utterances in this process, each to its
last step, and compares its first `replan` with what the run took. It counts the CPU time of the
training thread, since other programs on this machine would lengthen a run by more than a forecast
is off; `--wall` counts wall time.

"rest" is the error of all that follows the forecast, as a share of it: steps, checks and saves.
"steps" is the part of it that steps alone cause. "whole" is the error as a share of the whole run,
and thus that of its cost. "holds" says whether the rest was within P10 to P90.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from fintts_store.runs.runs import read_result, read_status  # noqa: E402
from fintts_trainer.session import deadline  # noqa: E402
from fintts_trainer.session.phase_clock import PhaseClock  # noqa: E402
from fintts_trainer.session.preemption import Preemption  # noqa: E402
from fintts_trainer.train import train  # noqa: E402
from tiny_fish import write_fish  # noqa: E402
from tiny_run import TINY, TinyRun, start_run  # noqa: E402

FIXTURES = TINY.parent
WIDER = {"dim": 192, "intermediate_size": 384, "n_layer": 6, "n_head": 4}


@dataclass(frozen=True)
class Case:
    """One run."""

    name: str
    base: str
    batch_size: int = 8
    accumulation: int = 1
    bucketing: bool = True
    validation_every: int = 50
    mean_frames: int = 60
    spread: float = 0.6
    """standard deviation of the logarithm of the frames"""
    steps_times: float = 1.0


CASES = (
    Case("s1", "s1"),
    Case("s1, batch 2", "s1", batch_size=2),
    Case("s1, batch 16", "s1", batch_size=16, steps_times=0.5),
    Case("s1, long", "s1", mean_frames=150, steps_times=0.6),
    Case("s1, equal lengths", "s1", spread=0.0),
    Case("s1, not bucketed", "s1", bucketing=False),
    Case("s1, accumulated", "s1", batch_size=4, accumulation=3),
    Case("s1, many checks", "s1", validation_every=10),
    Case("1.5", "v15"),
    Case("1.5, wide spread", "v15", spread=1.0),
    Case("wider", "wider", batch_size=4, steps_times=0.5),
    Case("wider, short", "wider", batch_size=8, mean_frames=25, steps_times=0.5),
)


PHASES = ("training", "validation", "checkpoint")


@dataclass(frozen=True)
class Found:
    """The forecast of the rest of a run and what it took, in seconds."""

    name: str
    step: int
    low: float
    likely: float
    high: float
    rest: float
    steps_off: float
    """how much too long the forecast of the steps is"""
    whole: float

    @property
    def errors(self) -> tuple[float, float, float]:
        """Of the rest, by its steps alone, and of the whole run."""
        off = abs(self.likely - self.rest)
        return off / self.rest, abs(self.steps_off) / self.rest, off / self.whole

    @property
    def holds(self) -> bool:
        """Whether the rest was within the interval."""
        return self.low <= self.rest <= self.high


def write_speech(folder: Path, case: Case, codebooks: int) -> None:
    """120 utterances with lengths of a log-normal distribution."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(7)
    for n in range(120):
        frames = int(np.clip(case.mean_frames * np.exp(random.normal(0, case.spread)), 4, 300))
        np.save(folder / f"u{n:03d}.npy", random.integers(0, 60, (codebooks, frames), np.int16))
        (folder / f"u{n:03d}.lab").write_text("rivi " * (1 + frames // 20))


def base_of(kind: str, folder: Path) -> tuple[Path, int]:
    """The base model's folder and its codebooks."""
    if kind == "wider":
        base = write_fish(folder / "wider", torch.float32, **WIDER)
        return folder / "wider", base.shape.num_codebooks
    path = {"s1": TINY, "v15": FIXTURES / "fish_v15_tiny"}[kind]
    return path, int(json.loads((path / "config.json").read_text())["num_codebooks"])


def run_of(case: Case, folder: Path, steps: int) -> TinyRun:
    """The run, in a store of its own."""
    base, codebooks = base_of(case.base, folder)
    write_speech(folder / "speech", case, codebooks)
    last = max(round(steps * case.steps_times), 60)
    return start_run(
        folder,
        {
            "training": {
                "batch_size": case.batch_size,
                "gradient_accumulation": case.accumulation,
                "bucketing": case.bucketing,
                "max_steps": last,
            },
            "validation": {"every": case.validation_every},
            "checkpoints": {"every": case.validation_every},
            "early_stopping": {"enabled": False},
        },
        base=base,
    )


def measure(case: Case, steps: int) -> Found:
    """Trains one case to its end."""
    with tempfile.TemporaryDirectory() as folder:
        run = run_of(case, Path(folder), steps)
        train(run.job(), Preemption())
        status, result = read_status(run.store, run.name), read_result(run.store, run.name)
    if status is None or status.replan is None or result is None:
        raise SystemExit(f"{case.name}: no forecast")
    replan, took = status.replan, result.phase_seconds
    left, expected = replan.seconds_left, replan.phase_seconds
    began = sum(expected[phase].likely for phase in PHASES) - left.likely
    rest = sum(took[phase] for phase in PHASES) - began
    return Found(
        case.name,
        replan.step,
        *(left.low, left.likely, left.high, rest),
        steps_off=expected["training"].likely - took["training"],
        whole=sum(took.values()),
    )


COLUMNS = ("step", "low", "likely", "high", "took", "rest", "steps", "whole", "holds")
HEAD = f"{'':20}" + "".join(f"{name:>8}" for name in COLUMNS)


def line(found: Found) -> str:
    """One run."""
    seconds = (found.low, found.likely, found.high, found.rest)
    return (
        f"{found.name:20}{found.step:8}"
        + "".join(f"{number:8.2f}" for number in seconds)
        + "".join(f"{share:8.1%}" for share in found.errors)
        + f"{'yes' if found.holds else 'no':>8}"
    )


def report(found: list[Found]) -> None:
    """Prints the median and the worst of each error."""
    print()
    for name, errors in zip(
        COLUMNS[5:8], zip(*(e.errors for e in found), strict=True), strict=True
    ):
        print(f"error, {name}: median {median(errors):.1%}, worst {max(errors):.1%}")
    print(f"within P10 to P90: {sum(each.holds for each in found)} of {len(found)}")


def use_cpu_time(patches: ExitStack) -> None:
    """Lets runs in this process measure the CPU time of their thread, while `patches` is open."""
    clock = SimpleNamespace(monotonic=time.thread_time)
    patches.enter_context(patch.object(PhaseClock.__init__, "__defaults__", (time.thread_time,)))
    patches.enter_context(patch.object(deadline, "time", clock))


def main() -> None:
    """Trains all runs, or one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=300, help="of a run, before its own factor")
    parser.add_argument("--only", metavar="NAME", choices=[case.name for case in CASES])
    parser.add_argument("--wall", action="store_true", help="count wall time")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)  # the work of others does not count as the thread's own
    cases = [case for case in CASES if given.only in (None, case.name)]
    found: list[Found] = []
    if not given.json:
        print(HEAD)
    with ExitStack() as patches:
        if not given.wall:
            use_cpu_time(patches)
        for case in cases:
            found.append(measure(case, given.steps))
            if not given.json:
                print(line(found[-1]), flush=True)
    if given.json:
        print(json.dumps([asdict(each) for each in found]))
    else:
        report(found)


if __name__ == "__main__":
    main()
