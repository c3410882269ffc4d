"""Why no cloud gave an instance: SkyPilot's error names the places alone, and what each of them
answered is in what it said before."""

from __future__ import annotations

import re
from enum import StrEnum

from fintts_cli.errors import CloudError

PLACE = re.compile(r"Launching (?:\w+ )*on (\w+) ([\w-]+)")
"""`⚙︎ Launching on AWS us-east-1 (us-east-1b,us-east-1c).`"""


class Reason(StrEnum):
    """What a cloud answers, in words that stand before `in REGION`."""

    QUOTA = "no quota for this account"
    CAPACITY = "no capacity"
    PERMISSION = "no permission to make instances"


CODES = {
    Reason.QUOTA: re.compile(
        r"VcpuLimitExceeded|MaxSpotInstanceCountExceeded|InstanceLimitExceeded"  # AWS
        r"|Found no quota for"  # SkyPilot, of a quota of 0
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
    """Place, as `--infra` has it, and the last reason that it gave.

    Args:
        said: what SkyPilot wrote while it tried one place after the other.
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
    """All that was tried, and why it came to nothing; None where no reason is known, and for any
    other error: one place may have refused before another one agreed."""
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
