"""What an hour of a spot instance cost on AWS, by EC2's own price history.

AWS bills the market's price, which neither SkyPilot's list nor its limit says. Who may not ask, or
gets no answer, counts with the most that it can be.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fintts_cli.infra.sky.aws import AWS
from fintts_cost.market import PriceChange, mean_rate

if TYPE_CHECKING:
    from datetime import datetime

    from fintts_cli.infra import Span
    from fintts_cli.infra.sky.record import SkyRecord

LINUX = ["Linux/UNIX"]


def priced(sky: Any, span: Span, before: SkyRecord, cluster: dict[str, Any]) -> Span:
    """The span with what an hour of it cost, once it has ended; each is asked for once.

    Args:
        before: the record as it was remembered, perhaps with the price.
        cluster: SkyPilot's entry of the span's instance.
    """
    if span.ended is None:
        return span
    known = (one.hourly_rate_usd for one in before.spans if one.began == span.began)
    rate = next(known, None) or spot_rate(sky, cluster, span.began, span.ended)
    return span.model_copy(update={"hourly_rate_usd": rate})


def spot_rate(
    sky: Any, cluster: dict[str, Any], began: datetime, ended: datetime
) -> Decimal | None:
    """The mean over this time; None where it is not AWS, or AWS does not tell."""
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
    except Exception:  # of any kind: no permission, no network
        return None
    return mean_rate(changes, began, ended)


def _change(each: dict[str, Any]) -> PriceChange:
    return PriceChange(each["Timestamp"], Decimal(each["SpotPrice"]), each["AvailabilityZone"])
