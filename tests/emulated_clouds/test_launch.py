"""A run on each seller from the launch to its end, with the laptop shut as soon as it may be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from a_laptop import Laptop
from rig.clouds import EmulatedClouds
from rig.timeline import Timeline
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(900)]

MOST_SECONDS_AFTER_THE_END = 240.0
"""idle minutes, the looks of a skylet every minute, and a machine whose two cores are busy"""


@dataclass(frozen=True)
class Offer:
    """What is rented, and how it ends."""

    gpus: str
    hourly_usd: float
    ended_by: str


OFFERS = {
    "verda": Offer("A100-80GB:1", 1.29, "the API"),
    "runpod": Offer("A100-80GB:1", 1.39, "its own key"),
    "lambda": Offer("H100:1", 3.29, "the API"),
}


@pytest.mark.parametrize(
    "name",
    [
        "verda",
        pytest.param("runpod", marks=pytest.mark.by_hand),
        pytest.param("lambda", marks=pytest.mark.by_hand),
    ],
)
def test_a_run_stops_early_and_its_instance_ends_itself_with_the_laptop_off(
    rentable_clouds: EmulatedClouds, tmp_path: Path, timeline: Timeline, name: str
) -> None:
    clouds, seller, offer = rentable_clouds, rentable_clouds.seller(name), OFFERS[name]
    laptop = Laptop(clouds.aws, tmp_path / "project", f"launch-{name}")
    laptop.configure(infra=name, gpus=offer.gpus)
    timeline.mark("launch")
    said = laptop.launch("launched")
    timeline.mark("submitted, laptop shut")
    assert f"${offer.hourly_usd} an hour ({name} " in said
    clouds.aws.shut_laptop()
    wait_until(lambda: not seller.billed())

    [instance] = seller.of_run("launched")
    assert instance.ended_at is not None
    timeline.mark("ordered", instance.ordered_at)
    timeline.mark("gone", instance.ended_at)
    assert instance.ended_by == offer.ended_by
    own = [call for call in seller.calls() if call.caller == instance.address and call.status < 400]
    assert own, "nobody but the instance itself was there to end it"
    view = laptop.view("launched")
    assert (view["phase"], view["stop_reason"]) == ("done", "early_stopping"), view
    assert view["instance_is_live"] is False
    report = laptop.document("cloud", "report", "launched")
    over = datetime.fromisoformat(report["ended_at"]).timestamp()
    timeline.mark("run over", over)
    assert instance.ended_at - over < MOST_SECONDS_AFTER_THE_END
    assert report["hourly_rate_usd"] == offer.hourly_usd
    reaped = laptop.fintts("cloud", "reap", "--yes", "--quiet")
    assert (reaped.returncode, reaped.stdout, reaped.stderr) == (0, "", "")
