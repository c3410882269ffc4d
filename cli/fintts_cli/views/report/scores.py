"""What was measured on the samples of a run, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.runs.status.checks import PLACE_OF
from fintts_cli.views.grid import Grid
from fintts_cli.views.units import value
from fintts_inputs.config import MEASURED_BY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fintts_store.runs.records import MetricRow

TITLES = {"cer": "Character error rate", "similarity": "Similarity", "dnsmos": "DNSMOS"}
RECORDINGS = "recordings_"


def scores(rows: Sequence[MetricRow], best_step: int | None) -> Grid | None:
    """A row for the recordings, one for the base model, and one for each step; None without any."""
    measured = [row for row in rows if row.kind == "eval"]
    names = [PLACE_OF[monitor].name for monitor in MEASURED_BY]
    shown = [name for name in names if any(name in row.values for row in measured)]
    if not shown:
        return None
    lines = [cells for row in measured for cells in _cells(row, shown, best_step)]
    return Grid(("spoken by", *(TITLES[name] for name in shown), ""), lines)


def _cells(
    row: MetricRow, shown: Sequence[str], best_step: int | None
) -> Iterator[tuple[str, ...]]:
    if any(RECORDINGS + name in row.values for name in shown):
        yield "recordings", *(value(row.values.get(RECORDINGS + name)) for name in shown), ""
    who = f"step {row.step:,}" if row.step else "base model"
    mark = "best" if row.step and row.step == best_step else ""
    yield who, *(value(row.values.get(name)) for name in shown), mark
