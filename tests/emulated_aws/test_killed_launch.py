"""`fintts cloud launch` is killed at any moment, alone or with the laptop: nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from a_laptop import Laptop, billed
from kills import LIMIT_SECONDS, kill_launches, reap_until_nothing_is_left
from rig.cloud import EmulatedAws
from rig.timeline import Timeline

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(LIMIT_SECONDS)]


def test_no_instance_is_lost_when_a_launch_is_killed(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "killed")
    of_others = {one.id for one in emulated_aws.instances()}

    def rented() -> set[str]:
        ours = [one for one in emulated_aws.instances() if one.id not in of_others]
        return {one.tags.get("fintts-run", f"{one.id} has no label") for one in ours}

    kill_launches(laptop, timeline, rented)
    reap_until_nothing_is_left(laptop, timeline, lambda: billed(emulated_aws))
