"""Measures how long training waits for a checkpoint of the reference run's size and cadence.

    python benchmarks/save.py [--saves N] [--step-seconds S] [--folder DIR] [--json]

The adapter is that of the reference run (rank 8 on all of OpenAudio S1-mini: 8.6 million parameters
in float32, with AdamW's two moments 103 MB), on a base model whose memory is never used. Each
save is the trainer's own `save`, into a directory store, while the uploader works; the steps
between two saves are left out. Choose a --folder on the disk to measure.

- "stall" is the wall time inside `save`, for which a step waits. The rest is parallel to the steps.
- Its parts are timed again one by one, with the functions that `save` calls: the adapter and the
  moments into files, and fsync with the renaming.
- "behind" is how long the uploader then takes to hash, copy and commit.

Exits with 1 if the stall of the middle save is more than 1 % of CADENCE steps.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections import deque
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from accelerate import Accelerator

from fintts_cost.pace.eta import EtaMeter
from fintts_inputs.base_model.families import read_shape
from fintts_inputs.config import RunConfig
from fintts_inputs.rules import rule_of, schedule_of
from fintts_store.backends.directory import DirectoryStore
from fintts_store.disk.durable import durable_directory
from fintts_store.runs.run_record import BaseModelRef, DatasetRef, PriceRef, RunRecord
from fintts_store.runs.runs import create_run
from fintts_trainer.checkpoint import LoopState
from fintts_trainer.families.fish import TARGETS
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.loop.step_clock import StepClock
from fintts_trainer.loop.step_queue import StepQueue
from fintts_trainer.loop.training import Training
from fintts_trainer.machine.gpu_meter import GpuMeter
from fintts_trainer.model.flat_adapter import FlatAdapter
from fintts_trainer.model.lora import add_adapter, write_adapter
from fintts_trainer.processes.progress import ProgressFile
from fintts_trainer.processes.random_state import random_state
from fintts_trainer.processes.world import World
from fintts_trainer.session.job import Job
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.session.session import open_session
from fintts_trainer.train import save

if TYPE_CHECKING:
    from fintts_trainer.data.feed import Feed
    from fintts_trainer.session.session import StoreSession

SHAPE = Path(__file__).with_name("s1_mini")
RUN, CADENCE, LIMIT = "saves", 100, 0.01
PAUSE_SECONDS = 1.0
"""the pause before each save, so that the previous one has finished"""
UTTERANCES = 2000


@dataclass(frozen=True)
class Saved:
    """The seconds of one save."""

    stall: float
    adapter: float
    whole_without_fsync: float
    fsync_and_rename: float
    behind: float
    size_bytes: int


def record_of(config: RunConfig) -> RunRecord:
    """run.json of a run that has neither data nor base model, since it never steps."""
    now = datetime.now(UTC)
    return RunRecord(
        run=RUN,
        created_at=now,
        fintts_version="benchmark",
        config=config.model_dump(mode="json"),
        dataset=DatasetRef(
            key="datasets/none", sha256="0", size_bytes=0, utterances=UTTERANCES, frames=0
        ),
        base_model=BaseModelRef(
            name="S1-mini's shape", prefix="base_models/none/", digest="0", files=()
        ),
        price=PriceRef(hourly_rate_usd=Decimal(0), source="benchmark"),
        deadline_at=now + timedelta(days=1),
        estimate={},
        infra="local",
        gpus="none",
    )


def training_in(folder: Path) -> Training:
    """A run with an adapter that has been trained for a step."""
    config = RunConfig(data=folder, base_model=folder)
    store = DirectoryStore(folder / "store")
    create_run(store, record_of(config))
    session = open_session(Job(store, RUN, folder / "workspace", deadline_at=None), ProgressFile())
    shape = read_shape(SHAPE)
    with torch.device("meta"):
        base = DualAR(shape, 0, shape.codebook_size - 1).bfloat16()
    base.to_empty(device="cpu").requires_grad_(requires_grad=False)
    model = add_adapter(base, TARGETS, config.lora, base_name="S1-mini's shape", seed=1)
    training = Training(
        session=session,
        world=World(Accelerator(cpu=True)),
        model=model,
        adapter=FlatAdapter(model, 1e-4),
        feed=cast("Feed", None),  # no step is taken
        schedule=schedule_of(config, UTTERANCES),
        rule=rule_of(config),
        state=LoopState(),
        eta=EtaMeter(),
        shape=shape,
        prompt=shape.prompt,
        gpu_meter=GpuMeter(),
        is_compiled=False,
        queue=StepQueue(0, time.monotonic),
        step_clock=StepClock(torch.device("cpu")),
        peak_flops=1.0,
        step_seconds=deque(),
    )
    train_on_noise(training)
    return training


def train_on_noise(training: Training) -> None:
    """Changes every weight and moment, so that no two checkpoints are equal."""
    training.adapter.gradient.normal_()
    training.adapter.update(1e-4, 1.0, torch.zeros(2))


def save_once(training: Training, folder: Path) -> Saved:
    """One save after the steps of a cadence, and its parts."""
    session = cast("StoreSession", training.session)
    train_on_noise(training)
    training.state.step += CADENCE
    time.sleep(PAUSE_SECONDS)
    start = time.perf_counter()
    save(training, None, Preemption())
    stall = time.perf_counter() - start
    session.uploader.drain(60)
    behind = time.perf_counter() - start - stall
    adapter, whole, fsync, size = parts_of(training, folder)
    return Saved(stall, adapter, whole, fsync, behind, size)


def parts_of(training: Training, folder: Path) -> tuple[float, float, float, int]:
    """Seconds of the adapter's file, of all files, and of making them last; and their bytes."""
    started = time.perf_counter()
    with durable_directory(folder / "adapter") as temporary:
        write_adapter(training.model, temporary)
        adapter = time.perf_counter() - started
    started = time.perf_counter()
    with durable_directory(folder / "whole") as temporary:
        training.write_checkpoint(temporary, [random_state()])
        whole = time.perf_counter() - started
    fsync = time.perf_counter() - started - whole
    size = sum(path.stat().st_size for path in (folder / "whole").iterdir())
    for name in ("adapter", "whole"):
        shutil.rmtree(folder / name)
    return adapter, whole, fsync, size


def print_table(saves: list[Saved], step_seconds: float) -> None:
    """Medians, in milliseconds, and the share of the steps between two saves."""
    lines = {
        "stall": "all of it, in `save`",
        "adapter": "the adapter's file",
        "whole_without_fsync": "all files, before fsync",
        "fsync_and_rename": "fsync and rename",
        "behind": "behind, in the uploader's thread",
    }
    print(f"checkpoint of {saves[0].size_bytes / 1e6:.0f} MB, {len(saves)} saves")
    for name, words in lines.items():
        values = [1e3 * getattr(one, name) for one in saves]
        print(
            f"{words:<34}{statistics.median(values):>8.0f} ms"
            f"   ({min(values):.0f} to {max(values):.0f})"
        )
    stall = statistics.median(one.stall for one in saves)
    share = stall / (CADENCE * step_seconds)
    print(f"at {CADENCE} steps of {step_seconds:g} s: {share:.2%} of the time")
    print(f"{LIMIT:.0%} is reached where a step takes {stall / LIMIT / CADENCE:.2f} s")


def main() -> None:
    """Measures, prints, and exits with 1 if training waits longer than the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--saves", type=int, default=9)
    parser.add_argument("--step-seconds", type=float, default=0.5, help="of a training step")
    parser.add_argument("--folder", type=Path, help="where to write; default: the system's own")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    log = io.StringIO()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary, redirect_stderr(log):
        folder = Path(temporary)
        training = training_in(folder)
        saves = [save_once(training, folder) for _ in range(arguments.saves + 1)][1:]
        cast("StoreSession", training.session).uploader.close()
    stall = statistics.median(one.stall for one in saves)
    share = stall / (CADENCE * arguments.step_seconds)
    if arguments.json:
        content = {
            "benchmark": "save",
            "cadence_steps": CADENCE,
            "step_seconds": arguments.step_seconds,
            "stall_seconds": stall,
            "stall_share": share,
            "limit_share": LIMIT,
            "saves": [asdict(one) for one in saves],
        }
        print(json.dumps(content, indent=2))
    else:
        print_table(saves, arguments.step_seconds)
    sys.exit(1 if share > LIMIT else 0)


if __name__ == "__main__":
    main()
