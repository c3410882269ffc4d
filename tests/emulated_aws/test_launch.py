"""`fintts cloud launch` for real: SkyPilot, an instance, training on it, and nothing after it."""

from __future__ import annotations

import json
import signal
import time
from datetime import datetime
from pathlib import Path

import pytest

from a_laptop import ENDLESS, Laptop, billed
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


def _seen_from_another_laptop(laptop: Laptop, state: Path) -> None:
    """It has the same store, and did not ask for the instance."""
    other = {"FINTTS_STATE_DIR": str(state)}
    listed = laptop.fintts("cloud", "ps", "--json", **other)
    [view] = json.loads(listed.stdout)
    assert view["phase"] in ("training", "validating", "saving"), view
    assert view["instance_is_live"] is None
    target = str(state / "pulled")
    pulled = laptop.fintts("cloud", "pull-checkpoints", "downed", "--to", target, "--json", **other)
    assert all(one["verified"] for one in json.loads(pulled.stdout)["checkpoints"]), pulled.stderr
    refused = laptop.fintts("cloud", "down", "downed", **other)
    assert refused.returncode == 4, refused.stderr
    assert "is not an instance of this machine, and its trainer is at work" in refused.stderr
    assert len(billed(laptop.cloud)) == 1


LONGER_THAN_AUTODOWN_SECONDS = 150.0


def test_ctrl_c_takes_an_instance_back_and_leaves_a_run_alone(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "interrupted")
    launching = laptop.begin("cloud", "launch", "--name", "taken-back", "--yes")
    wait_until(lambda: bool(billed(emulated_aws)))
    timeline.mark("Ctrl-C while it is provisioned")
    launching.send_signal(signal.SIGINT)
    _, said = launching.communicate()
    timeline.mark("taken back")
    assert launching.returncode == 130, said
    assert "run taken-back has no instance" in said
    assert billed(emulated_aws) == []
    assert laptop.document("cloud", "ps") == []

    following = laptop.begin("cloud", "launch", "--name", "left-alone", "--yes", **ENDLESS)
    wait_until(lambda: laptop.commits("left-alone") > 0)
    following.send_signal(signal.SIGINT)
    _, said = following.communicate()
    assert following.returncode == 130, said
    assert "run left-alone goes on; `fintts cloud watch left-alone` shows it again" in said
    assert len(billed(emulated_aws)) == 1
    assert laptop.fintts("cloud", "down", "left-alone").returncode == 0
    assert billed(emulated_aws) == []


def test_a_run_outlives_the_idle_time_and_down_leaves_nothing(
    emulated_aws: EmulatedAws, tmp_path: Path
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "downed")
    launched = laptop.fintts("cloud", "launch", "--name", "downed", "--yes", "--detach", **ENDLESS)
    assert launched.returncode == 0, launched.stderr
    assert len(billed(emulated_aws)) == 1
    second = laptop.fintts("cloud", "launch", "--name", "downed", "--yes", "--detach", **ENDLESS)
    assert second.returncode == 2, second.stderr
    assert "is running already" in second.stderr
    submitted = time.monotonic()
    wait_until(lambda: time.monotonic() - submitted > LONGER_THAN_AUTODOWN_SECONDS)
    assert len(billed(emulated_aws)) == 1, "it is at work: SkyPilot must not take it for idle"
    (view,) = laptop.document("cloud", "ps")
    assert view["phase"] in ("training", "validating", "saving"), view
    assert view["instance_is_live"] is True
    _seen_from_another_laptop(laptop, tmp_path / "another-laptop")
    followed = laptop.fintts("cloud", "logs", "downed")
    assert "utterances to train on" in followed.stdout, followed.stderr
    down = laptop.fintts("cloud", "down", "downed")
    assert down.returncode == 0, down.stderr
    assert billed(emulated_aws) == []
    assert laptop.fintts("cloud", "down", "downed").returncode == 0, "twice is once"
