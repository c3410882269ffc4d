"""Updates `snapshot.csv` from SkyPilot's catalog: `make prices CLOUDS="aws gcp"`.

    python -m fintts_cli.infra.sky.prices.renew_prices CLOUD...

Replaces the lines of these clouds and dates them by SkyPilot's download; the others stay. `doubts`,
which a person wrote about a line, must be reviewed again.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.infra.sky.prices.catalog import SkyCatalog
from fintts_cli.prices import snapshot
from fintts_cli.prices.snapshot import COLUMNS, FILE
from fintts_cli.prices.source import CatalogMissing
from fintts_cli.terminal.terminal import Terminal
from fintts_cost.gpus.names import canonical, family

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from decimal import Decimal

    from fintts_cost.prices.offer import PriceRow

LIMIT_SECONDS = 600.0
PRICES = Path(snapshot.__file__).with_name(FILE)


def renewed(text: str, clouds: Collection[str], rows: Iterable[PriceRow]) -> str:
    """The list with all lines of these clouds replaced by these rows, sorted by cloud."""
    kept = [line for line in csv.DictReader(io.StringIO(text)) if line["cloud"] not in clouds]
    lines: list[Mapping[str, str]] = [*kept, *map(_line, rows)]
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(lines, key=lambda line: line["cloud"]))
    return out.getvalue()


def families(text: str) -> list[str]:
    """The kinds of GPU in the list: A100, H100."""
    lines = csv.DictReader(io.StringIO(text))
    return sorted({family(canonical(line["accelerator"])) for line in lines if line["accelerator"]})


def _line(row: PriceRow) -> dict[str, str]:
    return {
        "cloud": row.cloud,
        "seller": row.seller or "",
        "region": row.region or "",
        "zone": row.zone or "",
        "instance_type": row.instance_type,
        "accelerator": row.accelerator,
        "count": f"{row.gpus:g}",
        "gpu_memory_gb": "" if row.gpu_memory_gb is None else f"{row.gpu_memory_gb:g}",
        "price_usd": _written(row.price_usd),
        "spot_price_usd": _written(row.spot_price_usd),
        "source": f"{row.cloud}/vms.csv",
        "as_of": row.as_of,
        "doubts": " ".join(row.doubts),
    }


def _written(amount: Decimal | None) -> str:
    return "" if amount is None else str(amount)


def main(clouds: list[str]) -> int:
    """Rewrites the file; returns an exit code. If a cloud's prices cannot be read, nothing
    changes."""
    if not clouds:
        Terminal().error("no cloud is named", "make prices CLOUDS='aws gcp'", 2)
        return 2
    text = PRICES.read_text(encoding="utf-8")
    catalogs = [SkyCatalog([cloud], LIMIT_SECONDS) for cloud in clouds]
    try:
        lists = [catalog.prices(kind, None) for catalog in catalogs for kind in families(text)]
    except CatalogMissing as missing:
        Terminal().error(str(missing), "", 1)
        return 1
    rows = [row for prices in lists for row in prices.rows]
    PRICES.write_text(renewed(text, clouds, rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
