"""Runs at work on Verda, where instances have no labels, and SkyPilot forgets what is shut down."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from a_laptop import ENDLESS, Laptop
from rig.clouds import EmulatedClouds
from rig.seller import Seller

pytestmark = [pytest.mark.cloud, pytest.mark.by_hand, pytest.mark.timeout(1200)]


@dataclass(frozen=True)
class AtWork:
    """The runs `v1` and `v10`, which nothing but their deadlines end."""

    clouds: EmulatedClouds
    seller: Seller
    laptop: Laptop

    def instance_of(self, run: str) -> str:
        """Of the one that is billed."""
        [instance] = [one for one in self.seller.of_run(run) if one.is_billed]
        return instance.id


@pytest.fixture(scope="module")
def at_work(rentable_clouds: EmulatedClouds, tmp_path_factory: pytest.TempPathFactory) -> AtWork:
    clouds = rentable_clouds
    folder = tmp_path_factory.mktemp("verda") / "project"
    laptop = Laptop(clouds.aws, folder, "at-work-verda", on_aws=True)
    laptop.configure(infra="verda", gpus="A100-80GB:1")
    for run in ("v1", "v10"):
        laptop.launch(run, **ENDLESS)
    return AtWork(clouds, clouds.verda, laptop)


def test_reap_leaves_alone_what_will_end_itself(at_work: AtWork) -> None:
    reaped = at_work.laptop.fintts("cloud", "reap", "--yes", "--quiet")
    assert (reaped.returncode, reaped.stdout, reaped.stderr) == (0, "", "")
    assert len(at_work.seller.billed()) == 2


def test_down_takes_v1_and_not_v10(at_work: AtWork) -> None:
    down = at_work.laptop.fintts("cloud", "down", "v1")
    assert down.returncode == 0, down.stderr
    assert at_work.seller.billed() == [at_work.instance_of("v10")]
    assert at_work.laptop.view("v1")["instance_is_live"] is False
    assert at_work.laptop.view("v10")["instance_is_live"] is True


def test_what_is_shut_down_is_told_and_removed(at_work: AtWork) -> None:
    seller, laptop = at_work.seller, at_work.laptop
    instance = at_work.instance_of("v10")
    seller.set_status(instance, "offline")
    shown = laptop.fintts("cloud", "ps")
    assert "offline" in shown.stdout + shown.stderr
    with seller.with_faults(keeps=[instance]):
        kept = laptop.fintts("cloud", "down", "v10")
        assert kept.returncode == 4, kept.stderr
        assert "Traceback" not in kept.stderr
        assert seller.billed() == [instance]
        reaped = laptop.fintts("cloud", "reap", "--yes")
        assert instance in reaped.stdout + reaped.stderr or "v10" in reaped.stdout + reaped.stderr
    down = laptop.fintts("cloud", "down", "v10")
    assert down.returncode == 0, down.stderr
    assert seller.billed() == []
    assert laptop.view("v10")["instance_is_live"] is False
