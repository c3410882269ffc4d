"""`fintts cloud launch` is killed at any moment where instances have no labels: nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from a_laptop import Laptop
from kills import LIMIT_SECONDS, kill_launches, reap_until_nothing_is_left
from rig.clouds import EmulatedClouds
from rig.timeline import Timeline

pytestmark = [pytest.mark.cloud, pytest.mark.by_hand, pytest.mark.timeout(LIMIT_SECONDS)]


@pytest.mark.parametrize("name", ["verda", "runpod"])
def test_no_instance_is_lost_when_a_launch_is_killed(
    rentable_clouds: EmulatedClouds, tmp_path: Path, timeline: Timeline, name: str
) -> None:
    seller = rentable_clouds.seller(name)
    laptop = Laptop(rentable_clouds.aws, tmp_path / "project", f"killed-{name}")
    laptop.configure(infra=name, gpus="A100-80GB:1")
    kill_launches(laptop, timeline, lambda: {one.run for one in seller.rented() if one.is_billed})
    reap_until_nothing_is_left(laptop, timeline, seller.billed)
