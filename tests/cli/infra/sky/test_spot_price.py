"""What a spot instance cost comes from EC2's own price history, where it can be asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from fintts_cli.infra import Span
from fintts_cli.infra.sky.prices.spot_price import priced, spot_rate
from fintts_cli.infra.sky.rentals.record import SkyRecord

ENDED = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
BEGAN = ENDED - timedelta(hours=1)


class Sky:
    """The part of SkyPilot that makes connections to AWS."""

    def __init__(self) -> None:
        self.asked = 0
        self.adaptors = SimpleNamespace(aws=SimpleNamespace(client=self.client))

    def client(self, service: str, region_name: str) -> Any:
        self.asked += 1
        return boto3.client(service, region_name=region_name)  # type: ignore[call-overload]  # by name


def cluster(cloud: str = "AWS", zone: str | None = "us-east-1a") -> dict[str, Any]:
    machine = SimpleNamespace(instance_type="p5.48xlarge", zone=zone)
    return {"cloud": cloud, "region": "us-east-1", "resources": machine}


def record(*spans: Span) -> SkyRecord:
    return SkyRecord(run="mine", cluster="fintts-mine", requested_at=BEGAN, spans=spans)


@pytest.mark.usefixtures("s3_credentials")
def test_the_history_of_the_zone_says_what_an_hour_cost() -> None:
    with mock_aws():
        ec2 = boto3.client("ec2", region_name="us-east-1")
        page = ec2.describe_spot_price_history(
            InstanceTypes=["p5.48xlarge"], AvailabilityZone="us-east-1a"
        )
        price = Decimal(page["SpotPriceHistory"][0]["SpotPrice"])
        assert spot_rate(Sky(), cluster(), BEGAN, ENDED) == price > 0


@pytest.mark.usefixtures("s3_credentials")
def test_a_span_is_asked_for_once_and_only_when_it_has_ended() -> None:
    sky, ended = Sky(), Span(began=BEGAN, ended=ENDED)
    with mock_aws():
        first = priced(sky, ended, record(), cluster())
        assert first.hourly_rate_usd is not None
        assert priced(sky, ended, record(first), cluster()) == first
        live = Span(began=BEGAN, ended=None)
        assert priced(sky, live, record(), cluster()) == live
    assert sky.asked == 1


@pytest.mark.parametrize("other", [cluster("GCP"), cluster() | {"region": None}])
def test_other_clouds_are_not_asked(other: dict[str, Any]) -> None:
    sky = Sky()
    assert spot_rate(sky, other, BEGAN, ENDED) is None
    assert sky.asked == 0


def test_no_answer_is_no_price() -> None:
    class Broken(Sky):
        def client(self, service: str, region_name: str) -> Any:
            raise RuntimeError("no credentials")

    assert spot_rate(Broken(), cluster(), BEGAN, ENDED) is None
