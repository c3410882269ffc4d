"""The hourly rate of a spot instance on AWS, from EC2's own price history.

AWS bills the market price, which neither SkyPilot's list nor its limit gives. Without permission or
an answer, the highest possible rate counts.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fintts_cli.infra.sky.aws import AWS
from fintts_cost.spot.history import PriceChange, mean_rate

if TYPE_CHECKING:
    from datetime import datetime

    from fintts_cli.infra import Span
    from fintts_cli.infra.sky.rentals.record import SkyRecord

LINUX = ["Linux/UNIX"]


def priced(sky: Any, span: Span, before: SkyRecord, cluster: dict[str, Any]) -> Span:
    """The span with its hourly rate, once it has ended; each span is asked about once.

    Args:
        before: the earlier record, which may hold the rate.
        cluster: SkyPilot's entry for the span's instance.
    """
    if span.ended is None:
        return span
    known = (one.hourly_rate_usd for one in before.spans if one.began == span.began)
    rate = next(known, None) or spot_rate(sky, cluster, span.began, span.ended)
    return span.model_copy(update={"hourly_rate_usd": rate})


def spot_rate(
    sky: Any, cluster: dict[str, Any], began: datetime, ended: datetime
) -> Decimal | None:
    """The mean rate over this time; None if not on AWS, or if AWS does not answer."""
    resources = cluster["resources"]
    machine = getattr(resources, "instance_type", None)
    if str(cluster.get("cloud") or "").lower() != AWS or not machine or not cluster.get("region"):
        return None
    zone = getattr(resources, "zone", None)
    only = {"AvailabilityZone": zone} if zone else {}
    try:
        client = sky.adaptors.aws.client("ec2", region_name=cluster["region"])
        pages = client.get_paginator("describe_spot_price_history").paginate(
            InstanceTypes=[machine],
            ProductDescriptions=LINUX,
            StartTime=began,
            EndTime=ended,
            **only,
        )
        changes = [_change(each) for page in pages for each in page["SpotPriceHistory"]]
    except Exception:  # no permission, no network: may be any kind of error
        return None
    return mean_rate(changes, began, ended)


def _change(each: dict[str, Any]) -> PriceChange:
    return PriceChange(each["Timestamp"], Decimal(each["SpotPrice"]), each["AvailabilityZone"])
