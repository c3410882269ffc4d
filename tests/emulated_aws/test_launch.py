"""`fintts cloud launch` for real: SkyPilot, an instance, training on it, and nothing after it."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest

from a_laptop import Laptop, billed
from rig.cloud import EmulatedAws
from rig.timeline import Timeline
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(900)]


def test_a_run_is_launched_trained_and_torn_down_with_nobody_watching(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "launched")
    timeline.mark("launch")
    launched = laptop.document("cloud", "launch", "--name", "mine", "--yes", "--detach")
    timeline.mark("submitted, laptop shut")
    assert launched["infra"] == "aws"
    emulated_aws.shut_laptop()
    ours = [one for one in emulated_aws.instances() if one.tags.get("fintts-run") == "mine"]
    assert [one.instance_type for one in ours] == ["p5.4xlarge"]
    wait_until(lambda: not billed(emulated_aws))
    timeline.mark("terminated")

    (view,) = laptop.document("cloud", "ps")
    assert (view["phase"], view["stop_reason"]) == ("done", "early_stopping"), view
    assert view["instance_is_live"] is False
    pulled = laptop.document("cloud", "pull-checkpoints", "mine")
    assert all(checkpoint["verified"] for checkpoint in pulled["checkpoints"])


def test_whoever_watches_has_it_torn_down_at_once(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "watched")
    timeline.mark("launch")
    launched = laptop.fintts("cloud", "launch", "--name", "watched", "--yes")
    timeline.mark("over")
    assert launched.returncode == 0, launched.stderr
    assert billed(emulated_aws) == []
    assert "watched: early_stopping" in launched.stderr
    report = laptop.document("cloud", "report", "watched")
    result = datetime.fromisoformat(report["ended_at"]).timestamp()
    timeline.mark("instance gone", result)
    assert "Traceback" not in launched.stderr
    again = laptop.fintts("cloud", "launch", "--name", "watched", "--yes")
    assert again.returncode == 2
    assert "has ended already" in again.stderr


LONGER_THAN_AUTODOWN_SECONDS = 150.0


def test_a_run_outlives_the_idle_time_and_down_leaves_nothing(
    emulated_aws: EmulatedAws, tmp_path: Path
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "downed")
    long = {"FINTTS_EARLY_STOPPING__ENABLED": "false", "FINTTS_TRAINING__MAX_STEPS": "100000"}
    launched = laptop.fintts("cloud", "launch", "--name", "downed", "--yes", "--detach", **long)
    assert launched.returncode == 0, launched.stderr
    assert len(billed(emulated_aws)) == 1
    second = laptop.fintts("cloud", "launch", "--name", "downed", "--yes", "--detach", **long)
    assert second.returncode == 2, second.stderr
    assert "is running already" in second.stderr
    submitted = time.monotonic()
    wait_until(lambda: time.monotonic() - submitted > LONGER_THAN_AUTODOWN_SECONDS)
    assert len(billed(emulated_aws)) == 1, "it is at work: SkyPilot must not take it for idle"
    (view,) = laptop.document("cloud", "ps")
    assert view["phase"] in ("training", "validating", "saving"), view
    assert view["instance_is_live"] is True
    followed = laptop.fintts("cloud", "logs", "downed")
    assert "utterances to train on" in followed.stdout, followed.stderr
    down = laptop.fintts("cloud", "down", "downed")
    assert down.returncode == 0, down.stderr
    assert billed(emulated_aws) == []
    assert laptop.fintts("cloud", "down", "downed").returncode == 0, "twice is once"
