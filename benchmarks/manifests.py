"""Times `fintts store check` and `fintts cloud pull-checkpoints --best` with 10,000 checkpoints.

    python benchmarks/manifests.py [--count N] [--at-once N[,N]] [--json]

One server on loopback (Ceph's radosgw, in memory; `make servers` installs it) and one run with that
many checkpoints of a few bytes each. Both commands spend their time on one small request per
manifest; `--at-once` compares how many are sent at a time. The peak resident size shows whether
memory stays flat.

Exits with 1 if the product's own setting takes longer than AIM_SECONDS.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

from fintts_store import layout
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.checkpoints import commit
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.manifest import Manifest, ManifestFile
from fintts_store.checkpoints.retention import best_of
from fintts_store.network.parallel import SMALL_AT_ONCE, in_parallel
from fintts_store.upkeep import survey
from fintts_store.upkeep.survey import survey_run
from radosgw import missing_programs, radosgw
from s3_servers import KEY, SECRET, make_bucket

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from fintts_store.store import Store

AIM_SECONDS = 30.0
RUN = "many"
CONTENT = b"a few bytes"
FILE = ManifestFile(
    name="trainer_state.json", size_bytes=len(CONTENT), sha256=sha256(CONTENT).hexdigest()
)


@dataclass(frozen=True)
class Line:
    """The part of one command that grows with the number of manifests."""

    command: str
    at_once: int
    seconds: float
    largest_mb: float


def fill(store: Store, count: int) -> None:
    """Writes that many checkpoints, without the other requests of a commit."""

    def write(step: int, _stop: threading.Event) -> None:
        one = Manifest(
            run=RUN,
            claim=1,
            step=step,
            id=f"{step:08x}",
            created_at=datetime.now(UTC),
            config_digest="c",
            base_model_digest="0" * 64,
            monitor="val/loss",
            mode="min",
            value=1 + 1 / step,
            files=(FILE,),
        )
        store.put(layout.checkpoint_prefix(RUN, one.name) + FILE.name, CONTENT)
        store.put(layout.commit_key(RUN, one.name), one.dump().encode())

    in_parallel(write, range(1, count + 1), at_once=SMALL_AT_ONCE)


def check(store: Store, count: int) -> None:
    """What `store check` asks of one run."""
    assert len(survey_run(store, RUN).whole) == count


def find_best(store: Store, count: int) -> None:
    """What `pull-checkpoints --best` asks before it pulls."""
    best = best_of(list_manifests(store, RUN))
    assert best is not None
    assert best.step == count


def timed(command: str, at_once: int, action: Callable[[], None]) -> Line:
    """One line of the table."""
    survey.SMALL_AT_ONCE = commit.SMALL_AT_ONCE = at_once
    began = time.monotonic()
    action()
    seconds = time.monotonic() - began
    return Line(command, at_once, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def measure(count: int, at_once: list[int]) -> list[Line]:
    """Each command with each number at once."""
    with ExitStack() as stack:
        gateway = stack.enter_context(radosgw())
        os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        os.environ |= {"AWS_DEFAULT_REGION": "us-east-1"}
        store = S3Store(make_bucket(gateway.url))
        fill(store, count)
        commands = {"store check": check, "pull --best": find_best}
        return [
            timed(name, number, lambda action=action: action(store, count))
            for number in at_once
            for name, action in commands.items()
        ]


def main() -> None:
    """Measures, prints, and exits with 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--at-once", default=f"4,{SMALL_AT_ONCE}")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if missing := missing_programs():
        parser.error(f"{', '.join(missing)} not found: `make servers` installs them")
    lines = measure(arguments.count, [int(one) for one in arguments.at_once.split(",")])
    slow = [one for one in lines if one.at_once == SMALL_AT_ONCE and one.seconds > AIM_SECONDS]
    if arguments.json:
        print(json.dumps({"benchmark": "manifests", "lines": [asdict(one) for one in lines]}))
    else:
        for one in lines:
            print(
                f"{one.command:<12} {one.at_once:>3} at once {one.seconds:>7.1f} s"
                f" {one.largest_mb:>7.0f} MB at most"
            )
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
