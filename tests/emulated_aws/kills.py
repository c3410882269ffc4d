"""Launches that are killed at moments spread over their lives, and what is left of them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Callable
from typing import Any

from a_laptop import Laptop
from rig.timeline import Timeline
from waiting import wait_until

KILLS = int(os.environ.get("LAUNCH_KILLS", "10"))
LIMIT_SECONDS = 1000.0 + 120.0 * KILLS
LONGEST_SECONDS = 60.0
"""A launch took 35 to 55 s on this machine: the last moments come after its end."""


def kill_launches(laptop: Laptop, timeline: Timeline, rented: Callable[[], set[str]]) -> None:
    """Kills one launch after the other, every second one with the laptop.

    `rented`: the runs of what was rented, by what the cloud shows; after each kill the journal has
    to know them all.
    """
    seed = random.randrange(10**6)
    for number, moment in enumerate(_moments(random.Random(seed))):
        run = f"killed-{number}"
        launching = laptop.begin("cloud", "launch", "--name", run, "--yes", "--detach")
        _kill_after(launching, moment)
        with_laptop = number % 2 == 1
        if with_laptop:
            laptop.cloud.shut_laptop()
        what = "laptop" if with_laptop else "terminal"
        bills = "is rented" if run in (runs := rented()) else "is not rented"
        timeline.mark(f"{run} {bills}, {what} killed after {moment:.0f} s (seed {seed})")
        assert runs <= _asked_for(laptop)


def reap_until_nothing_is_left(
    laptop: Laptop, timeline: Timeline, billed: Callable[[], list[str]]
) -> None:
    """Returns when the cloud bills nothing, and neither `reap` nor `ps` says that it does."""
    seen: set[str] = set()

    def nothing_is_left() -> bool:
        for one in _reap(laptop):
            assert one["verdict"] in ("kept", "orphan"), one
            what = f"reap: {one['where']} {one['reason']}{', removed' if one['removed'] else ''}"
            if what not in seen:
                seen.add(what)
                timeline.mark(what)
        return not billed()

    wait_until(nothing_is_left)
    timeline.mark("nothing bills")
    assert _reap(laptop) == []
    wait_until(lambda: not _taken_for_live(laptop))
    timeline.mark("nothing is taken for live")
    assert not billed()


def _moments(chance: random.Random) -> list[float]:
    """Seconds after a launch's first call: one in each part of its life."""
    part = LONGEST_SECONDS / KILLS
    return [number * part + chance.uniform(0, part) for number in range(KILLS)]


def _kill_after(launching: subprocess.Popen[str], seconds: float) -> None:
    try:
        launching.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        launching.send_signal(signal.SIGKILL)
        launching.communicate()


def _asked_for(laptop: Laptop) -> set[str]:
    """Runs in the journal."""
    return {path.stem for path in (laptop.folder / "state" / "journal").glob("*.json")}


def _reap(laptop: Laptop) -> list[dict[str, Any]]:
    done = laptop.fintts("cloud", "reap", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["instances"]
    return found


def _taken_for_live(laptop: Laptop) -> bool:
    """Whether `ps` says so of any run."""
    return any(view["instance_is_live"] for view in laptop.document("cloud", "ps"))
