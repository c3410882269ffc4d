"""The clouds that SkyPilot 0.14.1 knows, in its notation: what it can rent there, and the bill."""

from __future__ import annotations

from typing import NamedTuple


class Cloud(NamedTuple):
    """What SkyPilot can do on a cloud, and how the cloud bills a spot instance."""

    has_spot: bool = True
    """whether SkyPilot rents spot instances there"""
    has_autodown: bool = True
    """whether SkyPilot's autodown serves it. Its managed jobs, which a spot run needs, insist on
    autodown; without it an on-demand instance is rented only if `--infra` names the cloud"""
    bills_market_price: bool = False
    """whether a spot instance costs the market's price of the hour, up to the on-demand price;
    SkyPilot's `max_hourly_cost` only filters the list"""


_USUAL = Cloud()
_ON_DEMAND = Cloud(has_spot=False)
_NO_AUTODOWN = Cloud(has_autodown=False)
_MARKET = Cloud(bills_market_price=True)
CLOUDS = {
    "aws": _MARKET,
    "azure": _MARKET,
    "cudo": _ON_DEMAND,
    "do": _ON_DEMAND,
    "fluidstack": _ON_DEMAND,
    "gcp": _USUAL,
    "hyperbolic": Cloud(has_spot=False, has_autodown=False),
    "ibm": _USUAL,
    "k8s": _USUAL,
    "kubernetes": _USUAL,
    "lambda": _ON_DEMAND,
    "mithril": _USUAL,
    "nebius": _USUAL,
    "oci": _USUAL,
    "paperspace": _ON_DEMAND,
    "primeintellect": _NO_AUTODOWN,
    "runpod": _USUAL,
    "scp": _ON_DEMAND,
    "seeweb": _ON_DEMAND,
    "shadeform": _ON_DEMAND,
    "slurm": _USUAL,
    "ssh": _USUAL,
    "vast": _USUAL,
    "verda": _NO_AUTODOWN,
    "vsphere": _ON_DEMAND,
    "yotta": Cloud(has_spot=False, has_autodown=False),
}


def cloud_named(name: str) -> Cloud:
    """The cloud of this name; one that is not listed has no known limits."""
    return CLOUDS.get(name, _USUAL)
