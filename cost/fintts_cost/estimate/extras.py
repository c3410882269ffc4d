"""The costs of a run beyond the GPU's hours, from prices with their source and day.

`cost_usd` is the GPU's bill and excludes them; `estimate` and the launch plan show them separately.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.money import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from fintts_cost.estimate.document import JsonValue
    from fintts_cost.estimate.result import Estimate

GB = 10**9
HOURS_A_MONTH = 730
DEFAULT_DISK_GB = 256
"""SkyPilot's default disk, kept for an image of the user's own and a model of unknown size"""
SYSTEM_GB = 50
"""the largest image that SkyPilot 0.14.1 boots unasked: 45 on AWS, 50 on GCP"""
PACKAGES_GB = 20
"""the trainer's packages, most of them CUDA's, in uv's cache and unpacked"""
LEAST_DISK_GB = 100
"""Samsung's cloud refuses a smaller disk; the difference costs less than a cent an hour."""
AWS = "aws"


class Fact(NamedTuple):
    """A published price."""

    usd: Decimal
    unit: str
    source: str
    as_of: str


DISK = Fact(
    Decimal("0.08"), "a GB and month", "EBS gp3, aws.amazon.com/ebs/pricing, us-east-1", "2026-06"
)
S3_STORAGE = Fact(
    Decimal("0.023"),
    "a GB and month",
    "S3 Standard, aws.amazon.com/s3/pricing, us-east-1",
    "2026-06",
)
S3_EGRESS = Fact(
    Decimal("0.09"),
    "a GB",
    "S3 to the internet, aws.amazon.com/s3/pricing, us-east-1",
    "2026-06",
)
NOT_COUNTED = (
    "VAT and other taxes",
    "a cloud's smallest billed time, such as a minute or an hour",
    "requests to the store, which cost cents",
)


class Extra(NamedTuple):
    """One extra cost of one run."""

    name: str
    usd: Decimal
    how: str
    fact: Fact

    def to_json(self) -> dict[str, JsonValue]:
        """An item of `extras.items` in the estimate's document."""
        return {
            "name": self.name,
            "usd": float(round(self.usd, 4)),
            "how": self.how,
            "source": self.fact.source,
            "as_of": self.fact.as_of,
        }


class Extras(NamedTuple):
    """All extra costs of one run."""

    items: tuple[Extra, ...] = ()

    @property
    def usd(self) -> Decimal:
        """The total, with one month of storage."""
        return sum((each.usd for each in self.items), Decimal(0))

    def to_json(self, estimate: Estimate) -> dict[str, JsonValue]:
        """The `extras` of the estimate's document."""
        total = estimate.expected.cost_usd + self.usd
        items: list[JsonValue] = [each.to_json() for each in self.items]
        return {
            "extras": {
                "items": items,
                "usd": float(round(self.usd, 2)),
                "not_counted": list(NOT_COUNTED),
            },
            "cost_with_extras_usd": float(round(total, 2)),
        }


def extras_of(
    estimate: Estimate,
    *,
    is_rented: bool,
    cloud: str | None,
    is_in_s3: bool,
    data_bytes: int = 0,
    has_own_image: bool = False,
) -> Extras:
    """The costs of the expected run beyond its GPU.

    Args:
        cloud: where the GPU is rented; None is unknown, and counts as not AWS.
        is_in_s3: whether the store is AWS's own S3.
        data_bytes: of the data set, as far as known.
        has_own_image: whether the user names the image that the instance boots.
    """
    base = 0 if estimate.given.memory is None else estimate.given.memory.weights_bytes
    kept = estimate.storage.bytes_at_end
    items: list[Extra] = []
    if is_rented:
        items.append(_disk(estimate, disk_gb(estimate, has_own_image=has_own_image)))
    if is_in_s3 and is_rented and cloud != AWS:
        items.append(_egress("inputs", base + data_bytes, f"to {cloud or 'another cloud'}"))
    if is_in_s3:
        items += [_storage(base + data_bytes + kept), _egress("pull", kept, "to this machine")]
    return Extras(tuple(each for each in items if each.usd > 0))


def disk_gb(estimate: Estimate, *, has_own_image: bool = False) -> int:
    """The disk that the instance needs, which is billed: system, packages, and base model and
    checkpoints twice, since they are written before the old ones are removed."""
    memory = estimate.given.memory
    if has_own_image or memory is None:
        return DEFAULT_DISK_GB
    own = 2 * (memory.weights_bytes + estimate.storage.bytes_at_peak)
    return max(LEAST_DISK_GB, SYSTEM_GB + PACKAGES_GB + -(-own // GB))


def _disk(estimate: Estimate, size_gb: int) -> Extra:
    hours = estimate.expected.total_seconds / SECONDS_PER_HOUR
    usd = size_gb * DISK.usd * hours / HOURS_A_MONTH
    return Extra("disk", usd, f"{size_gb} GB for {hours:.2f} h", DISK)


def _egress(name: str, count: int, where: str) -> Extra:
    each = ", at each launch" if name == "inputs" else ""
    size = Decimal(count) / GB
    return Extra(name, size * S3_EGRESS.usd, f"{size:.1f} GB out of S3 {where}{each}", S3_EGRESS)


def _storage(count: int) -> Extra:
    size = Decimal(count) / GB
    return Extra("storage", size * S3_STORAGE.usd, f"{size:.1f} GB in S3 for a month", S3_STORAGE)
