"""What a seller refuses is one sentence in its words, with a hint, and nothing is rented."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from a_laptop import ENDLESS, Laptop
from rig.clouds import EmulatedClouds
from rig.seller import Seller
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.by_hand, pytest.mark.timeout(900)]

GPUS = {"verda": "A100-80GB:1", "runpod": "A100-80GB:1", "lambda": "H100:1"}
LONGER_THAN_ITS_PATIENCE_SECONDS = 31.0
MORE_THAN_ANY_CLIENT_RETRIES = 100


@pytest.fixture(params=GPUS)
def laptop(
    request: pytest.FixtureRequest, rentable_clouds: EmulatedClouds, tmp_path: Path
) -> Iterator[Laptop]:
    """It rents at one seller, whose name begins that of its bucket."""
    name: str = request.param
    laptop = Laptop(rentable_clouds.aws, tmp_path / "project", f"{name}-{secrets.token_hex(4)}")
    laptop.configure(infra=name, gpus=GPUS[name])
    yield laptop
    rentable_clouds.seller(name).remove_all()


@pytest.fixture
def seller(rentable_clouds: EmulatedClouds, laptop: Laptop) -> Seller:
    return rentable_clouds.seller(laptop.bucket.partition("-")[0])


REFUSALS = {
    "sold_out": "no capacity in",
    "without_balance": "not enough balance in",
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_a_launch_that_the_seller_refuses_leaves_nothing(
    laptop: Laptop, seller: Seller, fault: str
) -> None:
    with seller.with_faults(**{fault: True}):
        refused = laptop.fintts("cloud", "launch", "--name", "refused", "--yes")
    assert refused.returncode == 4, refused.stderr
    assert "\nhint: " in refused.stderr, refused.stderr
    assert "Traceback" not in refused.stderr
    assert seller.billed() == []
    assert f"error: no instance is available: {REFUSALS[fault]} {seller.name}/" in refused.stderr
    assert laptop.document("cloud", "ps") == [], "nothing was rented, so there is no run"


def test_a_launch_that_is_turned_away_leaves_nothing(laptop: Laptop, seller: Seller) -> None:
    with seller.with_faults(throttled=MORE_THAN_ANY_CLIENT_RETRIES):
        refused = laptop.fintts("cloud", "launch", "--name", "refused", "--yes")
    assert refused.returncode == 4, refused.stderr
    words = ("asked too often", "Too many requests", "did not answer")
    assert any(each in refused.stderr for each in words), refused.stderr
    assert "Traceback" not in refused.stderr
    assert seller.billed() == []
    assert laptop.document("cloud", "reap", "--yes")["instances"] == []


def test_doctor_says_what_is_wrong_in_the_seller_s_words(
    rentable_clouds: EmulatedClouds, laptop: Laptop, seller: Seller
) -> None:
    well = laptop.fintts("doctor")
    assert well.returncode == 0, well.stdout
    with seller.with_faults(without_balance=True, sold_out=True):
        poor = laptop.fintts("doctor")
    with rentable_clouds.with_wrong_keys():
        wrong = laptop.fintts("doctor")
    assert laptop.fintts("doctor").returncode == 0, "SkyPilot has to look again"
    assert (poor.returncode, wrong.returncode) == (1, 1), poor.stdout + wrong.stdout
    empty = "sold out" if seller.name == "lambda" else f"$0.00 left on {seller.name}"
    assert empty in poor.stdout
    assert f"{seller.name} says: " in wrong.stdout.lower()
    assert "make a new key" in wrong.stdout
    for said in (poor, wrong):
        assert "Traceback" not in said.stdout + said.stderr


def test_a_seller_that_is_slow_or_busy_loses_nothing(laptop: Laptop, seller: Seller) -> None:
    laptop.launch("slow", **ENDLESS)
    laptop.await_commit("slow")
    [instance] = seller.billed()
    with seller.with_faults(slow_seconds=LONGER_THAN_ITS_PATIENCE_SECONDS):
        reaped = laptop.fintts("cloud", "reap", "--yes")
        assert "Traceback" not in reaped.stderr
        assert seller.billed() == [instance]
    with seller.with_faults(throttled=MORE_THAN_ANY_CLIENT_RETRIES):
        down = laptop.fintts("cloud", "down", "slow")
        assert down.returncode == 4, down.stderr
        assert "may be billing" in down.stderr
        assert "Traceback" not in down.stderr
        assert seller.billed() == [instance]
        assert laptop.view("slow")["instance_is_live"] is not False
    with seller.with_faults(slow_seconds=LONGER_THAN_ITS_PATIENCE_SECONDS / 4):
        down = laptop.fintts("cloud", "down", "slow")
        assert down.returncode == 0, down.stderr
    assert seller.billed() == []


def test_an_instance_that_disappears_is_said_to_be_gone_and_bills_no_more(
    laptop: Laptop, seller: Seller
) -> None:
    laptop.launch("lost", **ENDLESS)
    laptop.await_commit("lost")
    seller.remove_all()
    wait_until(lambda: laptop.view("lost")["instance_is_live"] is False)
    view = laptop.view("lost")
    assert view["phase"] == "failed", view
    reaped = laptop.fintts("cloud", "reap", "--yes", "--quiet")
    assert (reaped.returncode, reaped.stdout, reaped.stderr) == (0, "", "")
