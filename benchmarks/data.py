"""Measures the data path for many utterances: encoding, opening, the order of an epoch, batches.

    python benchmarks/data.py [--utterances N] [--steps N] [--folder DIR] [--json]

Encodes N short generated utterances with the tokenizer of examples/kalevala into one file, and
reads it in another process, so that memory left over from encoding does not count. Exits with 1 if
it takes more than 5 s to open the file and get the first batch, or if memory grows during reading.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fintts_cost.training.schedule import Schedule
from fintts_inputs.base_model.families import read_config
from fintts_inputs.config import TrainingConfig
from fintts_trainer.data.encoded import RELEASE_BYTES, read_encoded, write_encoded
from fintts_trainer.data.feed import Feed
from fintts_trainer.data.order import Order
from fintts_trainer.data.prefetch import prefetched
from fintts_trainer.families.fish import FishBase, FishFamily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fintts_trainer.data.encoded import EncodedDataset
    from fintts_trainer.families.base import Example

BASE = Path(__file__).parents[1] / "examples" / "kalevala" / "base_model"
LIMIT_SECONDS = 5.0
"""from opening the file to the first batch"""
LIMIT_GROWTH_BYTES = 2 * RELEASE_BYTES
"""over all steps; half of it is mapped pages before they are released"""
HELD_OUT = 0.1


@dataclass(frozen=True)
class Written:
    """The measurements of encoding."""

    utterances: int
    file_bytes: int
    bytes_per_token: float
    encode_microseconds: float
    write_microseconds: float
    memory_growth_bytes: int


@dataclass(frozen=True)
class Read:
    """The measurements of reading; memory includes mapped pages."""

    open_seconds: float
    split_seconds: float
    first_batch_seconds: float
    epoch_order_seconds: float
    steps: int
    batches_per_second: float
    tokens_per_second: float
    wait_seconds: float
    padding_share: float
    padding_share_without_buckets: float
    resident_start_bytes: int
    resident_growth_bytes: int

    @property
    def start_seconds(self) -> float:
        """From opening the file to the first batch."""
        return self.open_seconds + self.split_seconds + self.first_batch_seconds


def resident_bytes() -> int:
    """The resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def speech(base: FishBase, count: int) -> Iterator[tuple[str, Example]]:
    """Utterances of 10 to 40 frames with a few words each."""
    generator = np.random.default_rng(1)
    shape = base.shape
    codes = generator.integers(0, shape.codebook_size, (shape.num_codebooks, 1000))
    frames = generator.integers(10, 41, count)
    for number in range(count):
        start = number % 900
        text = f"vaka vanha Väinämöinen {number}"
        yield f"u{number}", base.encode(text, codes[:, start : start + int(frames[number])])


def write(path: Path, count: int) -> Written:
    """Encodes `count` utterances; times the tokenizer on some of them first."""
    base = FishFamily().open(read_config(BASE))
    sample = min(count, 20_000)
    start = time.perf_counter()
    tokens = sum(example.length for _, example in speech(base, sample))
    encode = (time.perf_counter() - start) / sample
    before, start = resident_bytes(), time.perf_counter()
    write_encoded(path, speech(base, count), count)
    whole = (time.perf_counter() - start) / count
    size = path.stat().st_size
    return Written(
        utterances=count,
        file_bytes=size,
        bytes_per_token=size / count / (tokens / sample),
        encode_microseconds=encode * 1e6,
        write_microseconds=(whole - encode) * 1e6,
        memory_growth_bytes=resident_bytes() - before,
    )


def feed_of(dataset: EncodedDataset, *, bucketing: bool) -> Feed:
    """The feed of a run with the default configuration."""
    config = TrainingConfig(bucketing=bucketing)
    training, held_out = dataset.split(HELD_OUT)
    schedule = Schedule(len(training), config.batch_size)
    lengths = dataset.lengths[training] if bucketing else None
    return Feed(dataset, training, held_out, Order(schedule, config.seed, lengths), config)


def read(path: Path, steps: int) -> Read:
    """Opens the file and reads that many steps as fast as possible."""
    start = time.perf_counter()
    dataset = read_encoded(path)
    opened = time.perf_counter()
    feed = feed_of(dataset, bucketing=True)
    divided = time.perf_counter()
    next(feed.steps(0, 1))
    first = time.perf_counter()
    feed.order.samples_of_step(feed.order.schedule.steps_per_epoch)
    ordered = time.perf_counter()
    resident = resident_bytes()
    tokens, computed, wait, most = 0, 0.0, 0.0, resident
    with prefetched(feed.steps(0, steps)) as data:
        for step in data:
            tokens += step.tokens
            computed += step.tokens / (1 - step.padding_share)
            wait += data.waited_seconds
            most = max(most, resident_bytes())
    seconds = time.perf_counter() - ordered
    plain = list(feed_of(dataset, bucketing=False).steps(0, min(steps, 1000)))
    plain_computed = sum(step.tokens / (1 - step.padding_share) for step in plain)
    return Read(
        open_seconds=opened - start,
        split_seconds=divided - opened,
        first_batch_seconds=first - divided,
        epoch_order_seconds=ordered - first,
        steps=steps,
        batches_per_second=steps / seconds,
        tokens_per_second=tokens / seconds,
        wait_seconds=wait / steps,
        padding_share=1 - tokens / computed,
        padding_share_without_buckets=1 - sum(step.tokens for step in plain) / plain_computed,
        resident_start_bytes=resident,
        resident_growth_bytes=most - resident,
    )


def read_apart(path: Path, steps: int) -> Read:
    """Runs `read` in another process."""
    command = [sys.executable, "-P", __file__, "--read", str(path), "--steps", str(steps)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Read(**json.loads(done.stdout))


def faults(found: Read) -> list[str]:
    """The limits that were exceeded."""
    slow = found.start_seconds > LIMIT_SECONDS
    grown = found.resident_growth_bytes > LIMIT_GROWTH_BYTES
    return ["start"] * slow + ["memory"] * grown


def print_table(written: Written, found: Read) -> None:
    """One line per figure."""
    lines = {
        "utterances": f"{written.utterances:,}",
        "file": f"{written.file_bytes / 1e6:,.1f} MB",
        "a token takes": f"{written.bytes_per_token:.1f} bytes",
        "to encode an utterance": f"{written.encode_microseconds:.0f} µs",
        "to write it": f"{written.write_microseconds:.0f} µs",
        "memory gained while writing": f"{written.memory_growth_bytes / 1e6:.1f} MB",
        "to open the file": f"{found.open_seconds:.3f} s",
        "to split": f"{found.split_seconds:.3f} s",
        "to the first batch": f"{found.first_batch_seconds:.3f} s",
        "all of a start": f"{found.start_seconds:.3f} s (limit {LIMIT_SECONDS})",
        "order of one epoch": f"{found.epoch_order_seconds:.3f} s",
        "batches a second": f"{found.batches_per_second:,.0f}",
        "tokens a second": f"{found.tokens_per_second:,.0f}",
        "padding with buckets": f"{found.padding_share:.1%}",
        "padding without": f"{found.padding_share_without_buckets:.1%}",
        "memory once open": f"{found.resident_start_bytes / 1e6:.1f} MB",
        f"gained over {found.steps:,} steps": f"{found.resident_growth_bytes / 1e6:.1f} MB",
    }
    for name, value in lines.items():
        print(f"{name:<32}{value:>24}")


def main() -> None:
    """Measures, prints, and exits with 1 if a limit was exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--utterances", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="for the file; a temporary one by default")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(asdict(read(arguments.read, arguments.steps))))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "speech.encoded"
        written = write(path, arguments.utterances)
        found = read_apart(path, arguments.steps)
    over = faults(found)
    if arguments.json:
        figures = {**asdict(written), **asdict(found), "start_seconds": found.start_seconds}
        print(json.dumps({"benchmark": "data", "over_limit": over, **figures}, indent=2))
    else:
        print_table(written, found)
    sys.exit(1 if over else 0)


if __name__ == "__main__":
    main()
