"""Places that may not exist. Pure, apart from the price list that comes with the program."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from fintts_cli.prices.market import wanted_by
from fintts_cli.prices.snapshot import read_snapshot

if TYPE_CHECKING:
    from fintts_cli.settings.model import Settings

SKYPILOT_CLOUDS = frozenset(
    {
        *("aws", "azure", "cudo", "do", "fluidstack", "gcp", "hyperbolic", "ibm", "k8s"),
        *("kubernetes", "lambda", "mithril", "nebius", "oci", "paperspace", "primeintellect"),
        *("runpod", "scp", "seeweb", "shadeform", "slurm", "ssh", "vast", "verda", "vsphere"),
        "yotta",
    }
)
"""SkyPilot 0.14.1's names for its clouds"""


def doubtful_place(settings: Settings) -> tuple[str, ...]:
    """A warning if nothing here knows the cloud or the region.

    Only for a rate of your own: without one, a place without an offer is refused.
    """
    wanted = wanted_by(settings, spot=None)
    if settings.hourly_rate_usd is None or wanted.cloud is None:
        return ()
    rows = [row for row in read_snapshot() if row.cloud == wanted.cloud]
    if not rows and wanted.cloud not in SKYPILOT_CLOUDS:
        near = difflib.get_close_matches(wanted.cloud, SKYPILOT_CLOUDS, n=1)
        question = f": did you mean {near[0]}?" if near else ""
        return (f"neither SkyPilot nor the price list knows the cloud {wanted.cloud}{question}",)
    regions = {row.region.lower() if row.region else None for row in rows}
    if not rows or wanted.region is None or not regions.isdisjoint({None, wanted.region}):
        return ()
    return (
        f"no line of the price list is for the region {wanted.region} of {wanted.cloud}: see that "
        "there is one of that name",
    )
