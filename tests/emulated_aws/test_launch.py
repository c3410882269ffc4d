"""`fintts cloud launch` for real: SkyPilot, an instance, training on it, and nothing after it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from a_laptop import KALEVALA, Laptop, billed
from checks import every
from rig import laptop as rig_laptop
from rig.catalog import A100_TYPE
from rig.cloud import EmulatedAws
from rig.timeline import Timeline
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(900)]


@pytest.fixture
def default_skypilot(emulated_aws: EmulatedAws) -> Iterator[None]:
    """Its settings are those of a user who has never rented on a spot market."""
    emulated_aws.shut_laptop()
    rig_laptop.configure_sky(emulated_aws.home, "")
    yield
    emulated_aws.shut_laptop()
    rig_laptop.configure_sky(emulated_aws.home)


def assert_cron_has_nothing_to_mail(laptop: Laptop) -> None:
    reaped = laptop.fintts("cloud", "reap", "--yes", "--quiet")
    assert (reaped.returncode, reaped.stdout, reaped.stderr) == (0, "", "")


@pytest.mark.usefixtures("default_skypilot")
def test_the_example_is_launched_trained_and_torn_down_with_nobody_watching(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "kalevala", example=KALEVALA)
    timeline.mark("launch")
    said = laptop.launch("kalevala", "--gpus", "A100-80GB")
    timeline.mark("submitted")
    assert_cron_has_nothing_to_mail(laptop)
    timeline.mark("reaped by cron, laptop shut")
    assert "$3.43 an hour (aws p4de.3xlarge on-demand, SkyPilot's catalog" in said
    emulated_aws.shut_laptop()
    [instance] = laptop.instances("kalevala")
    assert (instance.instance_type, instance.spot) == (A100_TYPE, False)
    timeline.mark("instance", instance.launched_at.timestamp())
    wait_until(lambda: not billed(emulated_aws))
    timeline.mark("terminated")

    assert_cron_has_nothing_to_mail(laptop)
    view = laptop.view("kalevala")
    assert (view["phase"], view["stop_reason"]) == ("done", "early_stopping"), view
    assert view["instance_is_live"] is False
    report = laptop.document("cloud", "report", "kalevala")
    timeline.mark("run over", datetime.fromisoformat(report["ended_at"]).timestamp())
    assert report["hourly_rate_usd"] == 3.43
    assert report["cost_usd"] < report["budget_usd"] == 1.00
    pulled = laptop.document("cloud", "pull-checkpoints", "kalevala")
    assert len(pulled["checkpoints"]) in (5, 6), "the last five, and the best"
    assert every(checkpoint["verified"] for checkpoint in pulled["checkpoints"])


def test_ctrl_c_takes_back_an_instance_that_is_being_made(
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
    (shown,) = laptop.document("cloud", "ps")
    assert (shown["run"], shown["phase"]) == ("taken-back", "failed"), "it was up, and is billed"
