"""Pods that never become ready, and pods that somebody else outbids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from a_laptop import ENDLESS, Laptop
from fintts_store import layout
from rig.clouds import EmulatedClouds
from rig.timeline import Timeline
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.by_hand, pytest.mark.timeout(1200)]

IMPATIENT = {"FINTTS_LAUNCH_PATIENCE_SECONDS": "60"}
REGIONS = ("CA", "US")
"""where the catalog offers a pod with one A100-80GB"""


@pytest.fixture
def laptop(rentable_clouds: EmulatedClouds, tmp_path: Path) -> Iterator[Laptop]:
    laptop = Laptop(rentable_clouds.aws, tmp_path / "project", tmp_path.name.replace("_", "-"))
    laptop.configure(infra="runpod", gpus="A100-80GB:1")
    yield laptop
    rentable_clouds.runpod.remove_all()


def test_a_pod_that_never_becomes_ready_is_taken_back_everywhere(
    rentable_clouds: EmulatedClouds, laptop: Laptop
) -> None:
    seller = rentable_clouds.runpod
    with seller.with_faults(never_ready=True):
        done = laptop.fintts("cloud", "launch", "--name", "stuck", "--yes", **IMPATIENT)
    assert done.returncode == 4, done.stderr
    assert "no instance became ready within" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(seller.of_run("stuck")) == len(REGIONS)
    assert seller.billed() == []


def test_a_spot_pod_that_never_becomes_ready_is_taken_back(
    rentable_clouds: EmulatedClouds, laptop: Laptop
) -> None:
    seller = rentable_clouds.runpod
    spot = ("--spot", "--hourly-rate", "1.39")
    with seller.with_faults(never_ready=True):
        done = laptop.fintts("cloud", "launch", "--name", "stuck", "--yes", *spot, **IMPATIENT)
    assert done.returncode == 4, done.stderr
    assert "no instance became ready within" in done.stderr
    assert "Traceback" not in done.stderr
    assert seller.rented(), "one came, and was taken back"
    assert seller.billed() == []
    assert laptop.document("cloud", "reap", "--yes")["instances"] == []


def test_a_pod_that_never_became_ready_is_known_when_the_terminal_is_killed(
    rentable_clouds: EmulatedClouds, laptop: Laptop
) -> None:
    """`reap` gives it the time that every set-up gets; `down` takes it at once."""
    seller = rentable_clouds.runpod
    with seller.with_faults(never_ready=True):
        launching = laptop.begin("cloud", "launch", "--name", "left", "--yes")
        wait_until(lambda: bool(seller.billed()))
        launching.kill()
        launching.communicate()
        found = laptop.document("cloud", "reap", "--yes")["instances"]
        assert [(one["run"], one["verdict"]) for one in found] == [("left", "kept")]
        down = laptop.fintts("cloud", "down", "left")
        assert down.returncode == 0, down.stderr
        assert seller.billed() == []
    assert laptop.document("cloud", "reap", "--yes")["instances"] == []


def test_a_spot_pod_that_was_outbid_is_replaced_and_the_run_goes_on(
    rentable_clouds: EmulatedClouds, laptop: Laptop, timeline: Timeline
) -> None:
    """RunPod only stops it: its disk is billed until it is removed."""
    seller = rentable_clouds.runpod
    timeline.mark("launch")
    laptop.launch("outbid", "--spot", "--hourly-rate", "1.39", **ENDLESS)
    laptop.await_commit("outbid")
    timeline.mark("first checkpoint")
    [first] = seller.billed()
    seller.take(first)
    timeline.mark("outbid")
    wait_until(lambda: first not in seller.billed())
    timeline.mark("the old pod is removed")
    wait_until(lambda: len(laptop.keys(layout.claims_prefix("outbid"))) == 2)
    timeline.mark("the run goes on")
    [second] = seller.billed()
    assert second != first
    assert laptop.view("outbid")["instance_is_live"] is True
    down = laptop.fintts("cloud", "down", "outbid")
    timeline.mark("down")
    assert down.returncode == 0, down.stderr
    assert seller.billed() == []
    reaped = laptop.fintts("cloud", "reap", "--yes", "--quiet")
    assert (reaped.returncode, reaped.stdout, reaped.stderr) == (0, "", "")
