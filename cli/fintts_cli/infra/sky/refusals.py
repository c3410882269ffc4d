"""Finds out why no cloud gave an instance: SkyPilot's error only names the places, and each place's
answer is in SkyPilot's earlier output."""

from __future__ import annotations

import re
from enum import StrEnum

from fintts_cli.errors import CloudError

PLACE = re.compile(r"Launching (?:\w+ )*on (\w+) ([\w-]+)")
"""`⚙︎ Launching on AWS us-east-1 (us-east-1b,us-east-1c).`"""


class Reason(StrEnum):
    """A cloud's answer, in words that fit before `in REGION`."""

    QUOTA = "no quota for this account"
    CAPACITY = "no capacity"
    PERMISSION = "no permission to make instances"


CODES = {
    Reason.QUOTA: re.compile(
        r"VcpuLimitExceeded|MaxSpotInstanceCountExceeded|InstanceLimitExceeded"  # AWS
        r"|Found no quota for"  # SkyPilot, for a quota of 0
        r"|QUOTA_EXCEEDED|quotaExceeded"  # GCP
        r"|QuotaExceeded"  # Azure
    ),
    Reason.CAPACITY: re.compile(
        r"InsufficientInstanceCapacity|InsufficientHostCapacity|InsufficientReservedInstanceCapacity"
        r"|ZONE_RESOURCE_POOL_EXHAUSTED|stockout"  # GCP
        r"|AllocationFailed|SkuNotAvailable"  # Azure
        r"|insufficient-capacity"  # Lambda
    ),
    Reason.PERMISSION: re.compile(r"UnauthorizedOperation|AuthorizationFailed"),
}
HINTS = {
    Reason.QUOTA: "ask the cloud for quota, which may take days; `fintts doctor` says where there "
    "is some; --infra and --gpus take another place or GPU",
    Reason.CAPACITY: "try again later; you can name several --gpus, or another --infra",
    Reason.PERMISSION: "`sky check` says which rights your key needs",
}


def refusals_in(said: str) -> dict[str, Reason]:
    """Each place, as in `--infra`, with its last reason.

    Args:
        said: SkyPilot's output while it tried one place after another.
    """
    found: dict[str, Reason] = {}
    place = ""
    for line in said.splitlines():
        if match := PLACE.search(line):
            place = f"{match[1]}/{match[2]}".lower()
        for reason, codes in CODES.items():
            if place and codes.search(line):
                found[place] = reason
    return found


def refusal(error: Exception, said: str) -> CloudError | None:
    """Every place that was tried, and its reason; None if no reason is known, and for any other
    error: one place may have refused before another accepted."""
    if type(error).__name__ != "ResourcesUnavailableError":
        return None
    found = refusals_in(said)
    reasons = [reason for reason in Reason if reason in found.values()]
    if not reasons:
        return None
    told = (
        f"{reason} in {', '.join(place for place, why in found.items() if why == reason)}"
        for reason in reasons
    )
    return CloudError(f"no instance is available: {'; '.join(told)}", HINTS[reasons[0]])
