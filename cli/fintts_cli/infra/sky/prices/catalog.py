"""Prices from SkyPilot's own catalog, for the clouds enabled in it; imports sky late.

SkyPilot downloads a cloud's file again when it is a few hours old, without a time limit, so all of
this runs in a thread that is waited for no longer than LIMIT_SECONDS.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import redirect_stdout
from datetime import UTC, datetime
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from textwrap import shorten
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from fintts_cli.infra.sky.server.sdk import import_sky
from fintts_cli.places import OWN_CLUSTERS
from fintts_cli.prices.source import CatalogMissing, PriceList
from fintts_cost.gpus.names import family
from fintts_cost.prices.offer import PriceRow, amount

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LIMIT_SECONDS = 60.0
LONGEST_REASON = 100
"""in characters, of a SkyPilot error"""
PRICE_DIGITS = 6
"""SkyPilot adds host and GPU prices as floats: 1.1 + 2.2 must not become 3.3000000000000003."""
NOTHING_ENABLED = "SkyPilot has no cloud enabled; `sky check` looks for some"
TOTAL_MEMORY = frozenset({"vast"})
"""Clouds whose catalog states the memory of all GPUs together."""
MIB_IN_GIB = 1024


class InstanceType(Protocol):
    """The fields used from sky.catalog.common.InstanceTypeInfo; in dollars per hour, NaN for
    none."""

    instance_type: str | None
    accelerator_name: str
    accelerator_count: float
    device_memory: float | None
    """GiB; NaN, 0 or None if the catalog does not state it, and a 1024th of it for the catalogs of
    RunPod and Shadeform, which state GiB in a column of MiB"""
    price: float
    spot_price: float
    region: str


class Listing(NamedTuple):
    """SkyPilot's answers by cloud, and its failures."""

    found: dict[str, list[InstanceType]]
    failed: dict[str, str]
    """cloud → reason"""


class SkyCatalog:
    """SkyPilot's catalog on this machine.

    Args:
        clouds: the clouds to ask; None means those that `sky check` found enabled.
    """

    def __init__(
        self, clouds: Sequence[str] | None = None, limit_seconds: float = LIMIT_SECONDS
    ) -> None:
        self._clouds, self._limit_seconds = clouds, limit_seconds

    def prices(self, accelerator: str, cloud: str | None) -> PriceList:
        """The prices of the clouds that SkyPilot may use, region by region.

        Raises:
            CatalogMissing: SkyPilot is not installed, may use no such cloud, or cannot read its
                files.
        """
        if find_spec("sky") is None:
            raise CatalogMissing("SkyPilot is not installed here")
        if self._clouds is None and not (_folder() / "state.db").exists():
            raise CatalogMissing(NOTHING_ENABLED)
        listing = self._ask(accelerator, cloud)
        if not listing.found:
            raise CatalogMissing(
                "; ".join(f"SkyPilot's catalog of {name}: {why}" for name, why in _items(listing))
            )
        rows = [_row(name, info) for name, infos in listing.found.items() for info in infos]
        without = "".join(f"; without {name}: {why}" for name, why in _items(listing))
        asked = ", ".join(listing.found)
        return PriceList(rows, f"prices from SkyPilot's catalog of {asked}{without}")

    def _ask(self, accelerator: str, cloud: str | None) -> Listing:
        """Lists prices; SkyPilot's own output goes to stderr, since stdout is for data."""
        answers: list[Listing | CatalogMissing] = []

        def ask() -> None:
            try:
                answers.append(_listing(accelerator, self._chosen(cloud)))
            except CatalogMissing as missing:
                answers.append(missing)
            except Exception as error:  # sky may raise any kind of error
                why = _first_line(error)
                answers.append(CatalogMissing(f"SkyPilot's catalog cannot be read: {why}"))

        thread = Thread(target=ask, daemon=True)
        with redirect_stdout(sys.stderr):
            thread.start()
            thread.join(self._limit_seconds)
        if not answers:
            raise CatalogMissing(f"SkyPilot's catalog did not answer in {self._limit_seconds:g} s")
        if isinstance(answers[0], CatalogMissing):
            raise answers[0]
        return answers[0]

    def _chosen(self, cloud: str | None) -> list[str]:
        enabled = _enabled() if self._clouds is None else list(self._clouds)
        chosen = [name for name in enabled if name not in OWN_CLUSTERS and cloud in (None, name)]
        if not chosen:
            raise CatalogMissing(f"SkyPilot may not use {cloud}" if cloud else NOTHING_ENABLED)
        return chosen


def _items(listing: Listing) -> list[tuple[str, str]]:
    return sorted(listing.failed.items())


def _enabled() -> list[str]:
    """The clouds that `sky check` last found enabled, as in `--infra`; does not ask the clouds."""
    import_sky()
    from sky import global_user_state, skypilot_config
    from sky.clouds.cloud import CloudCapability

    clouds = global_user_state.get_cached_enabled_clouds(
        CloudCapability.COMPUTE, skypilot_config.get_active_workspace()
    )
    return [str(cloud).lower() for cloud in clouds]


def _listing(accelerator: str, clouds: Sequence[str]) -> Listing:
    """Asks each cloud separately, so that one out of reach does not hide the others."""
    list_accelerators = cast(
        "Callable[..., Mapping[str, Sequence[InstanceType]]]", import_sky().list_accelerators
    )
    listing = Listing({}, {})
    for cloud in clouds:
        try:
            by_name = list_accelerators(
                name_filter=f"^{re.escape(family(accelerator))}",
                clouds=[cloud],
                case_sensitive=False,
                all_regions=True,
            )
        except Exception as error:  # pandas raises any kind for an unreadable file
            listing.failed[cloud] = _first_line(error)
        else:
            listing.found[cloud] = [info for infos in by_name.values() for info in infos]
    return listing


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or ["without a word"]
    return shorten(f"{type(error).__name__}: {lines[0]}", LONGEST_REASON, placeholder=" …")


def _gpu_memory_gb(cloud: str, info: InstanceType) -> float | None:
    """Memory of one GPU; None if the catalog does not state it.

    No GPU has less than 1 GiB: a smaller number was GiB in a column of MiB.
    """
    stated = info.device_memory
    if stated is None or not isfinite(stated) or stated <= 0:
        return None
    memory = stated if stated >= 1 else stated * MIB_IN_GIB
    return memory / info.accelerator_count if cloud in TOTAL_MEMORY else memory


def _row(cloud: str, info: InstanceType) -> PriceRow:
    return PriceRow(
        cloud=cloud,
        region=info.region,
        instance_type=info.instance_type or "",
        accelerator=info.accelerator_name,
        gpus=info.accelerator_count,
        gpu_memory_gb=_gpu_memory_gb(cloud, info),
        price_usd=amount(round(info.price, PRICE_DIGITS)),
        spot_price_usd=amount(round(info.spot_price, PRICE_DIGITS)),
        source=f"SkyPilot's catalog, {cloud}/vms.csv",
        as_of=_fetched_at(cloud),
    )


def _fetched_at(cloud: str) -> str:
    """The date of the file. SkyPilot touches a file that it failed to renew, but not its
    checksum."""
    catalogs = _folder() / "catalogs"
    newest = max(catalogs.glob(f"v*/{cloud}/vms.csv"))
    checksum = newest.parents[1] / ".meta" / cloud / "vms.csv.md5"
    looked_at = checksum if checksum.exists() else newest
    return f"{datetime.fromtimestamp(looked_at.stat().st_mtime, UTC):%Y-%m-%d}"


def _folder() -> Path:
    """Where SkyPilot keeps its state and catalogs."""
    return Path(os.environ.get("SKY_RUNTIME_DIR", "~")).expanduser() / ".sky"
