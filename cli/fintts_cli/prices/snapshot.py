"""The prices that ship with the program, for machines without SkyPilot and for `fintts estimate`.

`snapshot.csv` has one line per machine and region, in dollars per hour for the whole machine, with
its source (for a file of SkyPilot's catalog, path and commit) and the day it was copied. A line
without an accelerator is a host, whose price is added to that of its GPUs. `make prices CLOUDS="aws
gcp"` replaces a cloud's lines with the current ones from SkyPilot's catalog; `doubts` is written by
hand, about what a person found out about a line.
"""

from __future__ import annotations

import csv
import io
import pkgutil
from typing import TYPE_CHECKING

from fintts_cli.prices.source import PriceList
from fintts_cost.prices.offer import Doubt, PriceRow, amount

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "snapshot.csv"
COLUMNS: tuple[str, ...] = (
    "cloud",
    "seller",
    "region",
    "zone",
    "instance_type",
    "accelerator",
    "count",
    "gpu_memory_gb",
    "price_usd",
    "spot_price_usd",
    "source",
    "as_of",
    "doubts",
)


class Snapshot:
    """Prices as of the day they were recorded."""

    def prices(self, accelerator: str, cloud: str | None) -> PriceList:
        """All prices, whatever is asked: a few kilobytes."""
        rows = read_snapshot()
        newest = max(row.as_of for row in rows)
        return PriceList(rows, f"prices as of {newest}, from the list that comes with fintts")


def read_snapshot() -> list[PriceRow]:
    """The lines of the price file in this package."""
    data = pkgutil.get_data(__package__ or "", FILE)
    assert data is not None, f"{FILE} belongs to this program"
    return load(data.decode())


def load(text: str) -> list[PriceRow]:
    """The lines of a price list."""
    return [_row(line) for line in csv.DictReader(io.StringIO(text))]


def _row(line: Mapping[str, str]) -> PriceRow:
    memory = line["gpu_memory_gb"]
    return PriceRow(
        cloud=line["cloud"],
        seller=line["seller"] or None,
        region=line["region"] or None,
        zone=line["zone"] or None,
        instance_type=line["instance_type"],
        accelerator=line["accelerator"],
        gpus=float(line["count"]),
        gpu_memory_gb=float(memory) if memory else None,
        price_usd=amount(line["price_usd"]),
        spot_price_usd=amount(line["spot_price_usd"]),
        source=f"snapshot {line['source']}",
        as_of=line["as_of"],
        doubts=tuple(Doubt(word) for word in line["doubts"].split()),
    )
