"""`fintts cloud launch` is killed at any moment, alone or with the laptop: nothing is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from a_laptop import Laptop, billed
from rig.cloud import EmulatedAws
from rig.timeline import Timeline
from waiting import wait_until

KILLS = int(os.environ.get("LAUNCH_KILLS", "10"))
pytestmark = [pytest.mark.cloud, pytest.mark.timeout(1000 + 120 * KILLS)]

LONGEST_SECONDS = 60.0
"""A launch took 35 to 55 s on this machine: the last moments come after its end."""


def moments(chance: random.Random) -> list[float]:
    """Seconds after a launch's first call: one in each part of its life."""
    part = LONGEST_SECONDS / KILLS
    return [number * part + chance.uniform(0, part) for number in range(KILLS)]


def kill_after(launching: subprocess.Popen[str], seconds: float) -> None:
    try:
        launching.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        launching.send_signal(signal.SIGKILL)
        launching.communicate()


def asked_for(laptop: Laptop) -> set[str]:
    """Runs in the journal."""
    return {path.stem for path in (laptop.folder / "state" / "journal").glob("*.json")}


def reap(laptop: Laptop) -> list[dict[str, Any]]:
    done = laptop.fintts("cloud", "reap", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["instances"]
    return found


def taken_for_live(laptop: Laptop) -> bool:
    """Whether `ps` says so of any run."""
    return any(view["instance_is_live"] for view in laptop.document("cloud", "ps"))


def test_no_instance_is_lost_when_a_launch_is_killed(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "killed")
    of_others = {one.id for one in emulated_aws.instances()}
    seed = random.randrange(10**6)
    for number, moment in enumerate(moments(random.Random(seed))):
        run = f"killed-{number}"
        launching = laptop.begin("cloud", "launch", "--name", run, "--yes", "--detach")
        kill_after(launching, moment)
        with_laptop = number % 2 == 1
        if with_laptop:
            emulated_aws.shut_laptop()
        what = "laptop" if with_laptop else "terminal"
        timeline.mark(f"{run}, {what} killed after {moment:.0f} s (seed {seed})")
        known = asked_for(laptop)
        ours = [one for one in emulated_aws.instances() if one.id not in of_others]
        assert [one for one in ours if one.tags.get("fintts-run") not in known] == [], known

    seen: set[str] = set()

    def nothing_is_left() -> bool:
        for one in reap(laptop):
            assert one["verdict"] in ("kept", "orphan"), one
            what = f"reap: {one['where']} {one['reason']}{', removed' if one['removed'] else ''}"
            if what not in seen:
                seen.add(what)
                timeline.mark(what)
        return not billed(emulated_aws)

    wait_until(nothing_is_left)
    timeline.mark("nothing bills")
    assert reap(laptop) == []
    wait_until(lambda: not taken_for_live(laptop))
    timeline.mark("nothing is taken for live")
    assert not billed(emulated_aws)
