"""Where a run trains: on this machine or a rented one, and how long each takes to start and end."""

from __future__ import annotations

import re

LOCAL = "local"
OWN_CLUSTERS = frozenset({"k8s", "kubernetes", "slurm", "ssh"})
"""called clouds by SkyPilot, but not billed"""
ANY = "*"
"""SkyPilot's word for any cloud or region"""
SLASHES = 2
_PLACE = re.compile(r"(\*|[A-Za-z0-9-]+)(/[^\s/]+)*")


def canonical_infra(text: str) -> str:
    """The place without spaces around it; this machine in lower case, however it is typed.

    Raises:
        ValueError: it cannot be a place.
    """
    place = text.strip()
    cloud = place.partition("/")[0].lower()
    has_context = cloud in OWN_CLUSTERS  # whose name may have slashes
    if not _PLACE.fullmatch(place) or (place.count("/") > SLASHES and not has_context):
        raise ValueError(f"{text!r} is neither local nor a cloud as CLOUD[/REGION[/ZONE]]")
    return LOCAL if place.lower() == LOCAL else place


def cloud_of(place: str | None) -> str:
    """The cloud of a place, in lower case; empty if there is none, or any."""
    cloud = (place or "").partition("/")[0].lower()
    return "" if cloud == ANY else cloud


def clouds_named(place: str | None) -> tuple[str, ...]:
    """The same as a list of one; empty if SkyPilot chooses."""
    cloud = cloud_of(place)
    return (cloud,) if cloud else ()


SETUP_SECONDS = {True: 20.0, False: 600.0}
"""here; on a rented instance, which boots in two minutes and installs the trainer in eight"""


FETCHED_BYTES_PER_SECOND = 50e6
"""from the store to a rented instance, and verified: an assumption, half of a gigabit's worth"""


TEARDOWN_SECONDS = {True: 1.0, False: 110.0}
"""here; on a rented instance, whose idleness is checked once a minute: 96 to 107 s measured"""
