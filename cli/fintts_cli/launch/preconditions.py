"""What must hold before a machine is rented: the store within its reach, and a way to end it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fintts_cli.errors import CloudError, UsageProblem
from fintts_cli.infra.environment import is_proxied
from fintts_cli.infra.sky.aws import AWS
from fintts_cli.infra.sky.job import require_own_controller
from fintts_cli.infra.sky.session import require_sky
from fintts_cost.prices import WITHOUT_AUTODOWN
from fintts_store.backends.s3.address import S3Address
from fintts_store.opening import is_in_s3

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_cli.settings.model import Settings


def refuse_unsafe_rental(sky_log: Path, settings: Settings, store_url: str) -> None:
    """Refuses a rented instance that could not reach the store, or that would not end by itself.

    Args:
        sky_log: where SkyPilot's own words go.

    Raises:
        UsageProblem: the store is within this machine's reach alone.
        CloudError: SkyPilot is not installed, the cloud has no autodown, or a second instance would
            be rented to watch over the first.
    """
    if not is_in_s3(store_url):
        raise UsageProblem(
            f"a rented instance cannot reach the folder {store_url}",
            "--store s3://BUCKET/PREFIX; --infra local runs here",
        )
    endpoint_url = S3Address.parse(store_url).endpoint_url
    if endpoint_url is not None and _is_loopback(urlsplit(endpoint_url).hostname or ""):
        raise UsageProblem(
            f"a rented instance cannot reach {endpoint_url}, which is this machine alone",
            "give the store's address as others reach it",
        )
    if endpoint_url is not None and _is_private(endpoint_url) and is_proxied(endpoint_url):
        raise UsageProblem(
            f"this machine reaches {endpoint_url} through a proxy, which a rented instance has not",
            "name the server in NO_PROXY if an instance reaches it without, or take another store",
        )
    require_sky()
    cloud = (settings.infra or "").partition("/")[0].lower()
    if cloud in WITHOUT_AUTODOWN:
        raise CloudError(
            f"an instance on {cloud} would not end by itself when the run does",
            "take another --infra",
        )
    if settings.spot:
        require_own_controller(sky_log)


def unarmed(infra: str | None) -> str | None:
    """What is said before an instance is rented whose end cannot be armed; None where it can."""
    cloud = (infra or "").partition("/")[0].lower()
    if cloud == AWS:
        return None
    where = f"on {cloud}" if cloud else "on other clouds than AWS"
    return (
        f"{where} nothing ends an instance whose launch is cut off, such as by this machine being "
        "shut in the half minute before SkyPilot has set its autodown"
    )


REAP_BY_CRON = "have cron call `fintts cloud reap --yes --quiet`: it finds and removes such a one"


PRIVATE = (".local", ".internal", ".intranet", ".lan", ".corp", ".home", ".home.arpa", ".private")
"""endings of names that mean something within one network alone"""


def _is_private(url: str) -> bool:
    """Whether the server is one of the company's own, as far as its name tells."""
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:  # a name
        return "." not in host or host.endswith(PRIVATE)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a name
        return False
    return address.is_loopback or address.is_unspecified
