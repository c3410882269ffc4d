"""Places that may not exist. Pure, apart from the price list that comes with the program."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from fintts_cli.prices.market import wanted_by
from fintts_cli.prices.snapshot import read_snapshot
from fintts_cost.gpus.names import canonical
from fintts_cost.prices.clouds import CLOUDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cli.prices.market import Wanted
    from fintts_cli.settings.model import Settings
    from fintts_cost.prices.offer import PriceRow


def doubtful_place(settings: Settings) -> tuple[str, ...]:
    """A warning if nothing here knows the cloud, the region, or such a machine there.

    Only for a rate of your own: without one, a place without an offer is refused.
    """
    wanted = wanted_by(settings, spot=None)
    if settings.hourly_rate_usd is None or wanted.cloud is None:
        return ()
    rows = [row for row in read_snapshot() if row.cloud == wanted.cloud and row.accelerator]
    if not rows and wanted.cloud not in CLOUDS:
        near = difflib.get_close_matches(wanted.cloud, CLOUDS, n=1)
        question = f": did you mean {near[0]}?" if near else ""
        return (f"neither SkyPilot nor the price list knows the cloud {wanted.cloud}{question}",)
    regions = {row.region.lower() if row.region else None for row in rows}
    if not rows or wanted.region is None or not regions.isdisjoint({None, wanted.region}):
        unsold = _unsold(wanted, rows) if rows else None
        return () if unsold is None else (unsold,)
    return (
        f"no line of the price list is for the region {wanted.region} of {wanted.cloud}: see that "
        "there is one of that name",
    )


def _unsold(wanted: Wanted, rows: Sequence[PriceRow]) -> str | None:
    """A warning if the list has this cloud, but no such machine there."""
    names = [(canonical(row.accelerator, row.gpu_memory_gb), row.gpus) for row in rows]
    if (wanted.accelerator, float(wanted.gpus)) in names:
        return None
    others = sorted({int(count) for name, count in names if name == wanted.accelerator})
    instead = f", only {' or '.join(map(str, others))} together" if others else ""
    number = "single" if wanted.gpus == 1 else f"machine with {wanted.gpus}"
    return (
        f"the price list knows no {number} {wanted.accelerator} on {wanted.cloud}{instead}: "
        "`fintts cloud offers` shows who sells it"
    )
