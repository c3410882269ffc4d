"""What a seller refuses is one sentence in its words, with a mend, and nothing is rented."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from a_laptop import Laptop
from rig.clouds import EmulatedClouds

pytestmark = [pytest.mark.cloud, pytest.mark.by_hand, pytest.mark.timeout(600)]

SELLERS = ("verda", "runpod")


@pytest.fixture(params=SELLERS)
def laptop(
    request: pytest.FixtureRequest, rentable_clouds: EmulatedClouds, tmp_path: Path
) -> Iterator[Laptop]:
    """It rents at one seller, whose name is that of its bucket."""
    name: str = request.param
    bucket = f"{name}-{secrets.token_hex(4)}"
    laptop = Laptop(rentable_clouds.aws, tmp_path / "project", bucket)
    laptop.configure(infra=name, gpus="A100-80GB:1")
    yield laptop
    rentable_clouds.seller(name).remove_all()


def name_of(laptop: Laptop) -> str:
    return laptop.bucket.partition("-")[0]


@pytest.mark.parametrize("fault", ["sold_out", "without_balance"])
def test_a_launch_that_the_seller_refuses(
    rentable_clouds: EmulatedClouds, laptop: Laptop, fault: str
) -> None:
    seller = rentable_clouds.seller(name_of(laptop))
    with seller.with_faults(**{fault: True}):
        refused = laptop.fintts("cloud", "launch", "--name", "refused", "--yes")
    assert refused.returncode == 4, refused.stderr
    assert "\nhint: " in refused.stderr, refused.stderr
    assert "Traceback" not in refused.stderr
    assert seller.billed() == []
