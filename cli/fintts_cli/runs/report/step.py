"""One step of a run, measured: the medians of its parts."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from fintts_store.runs.limits import VALUE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fintts_store.runs.records import MetricRow

LOGGING = "logging"
PARTS = ("data", "forward", "loss", "backward", "exchange", "optimizer", LOGGING)
NEEDED = ("seconds", "tokens_per_second", "padding_share", "mfu", "memory_peak_bytes")
OPTIONAL = ("gpu_utilisation", "gpu_memory_bytes")
NAMED = (*NEEDED, *OPTIONAL, *(f"{part}_seconds" for part in PARTS))


class StepShares(NamedTuple):
    """Medians, so that warm-up steps and steps during a save do not distort them."""

    seconds: float
    parts: dict[str, float]
    """seconds by part, `the rest` included"""
    logging_seconds: float | None
    """one of the parts; earlier versions measured it in addition to the step"""
    tokens_per_second: float
    padding_share: float
    mfu: float
    memory_peak_bytes: float
    gpu_utilisation: float | None
    gpu_memory_bytes: float | None

    def to_json(self) -> dict[str, object]:
        """The figures by name."""
        return self._asdict()


def step_shares(metrics: Sequence[MetricRow]) -> StepShares | None:
    """The step; None if the metrics lack its times."""
    rows = [row.values for row in metrics if row.kind == "train"]
    found = {name: median(values) for name in NAMED if (values := _finite(rows, name))}
    if not all(name in found for name in NEEDED) or found["seconds"] <= 0:
        return None
    parts = {part: found[f"{part}_seconds"] for part in PARTS if f"{part}_seconds" in found}
    return StepShares(
        seconds=found["seconds"],
        parts={**parts, "the rest": max(found["seconds"] - sum(parts.values()), 0.0)},
        logging_seconds=found.get(f"{LOGGING}_seconds"),
        tokens_per_second=found["tokens_per_second"],
        padding_share=found["padding_share"],
        mfu=found["mfu"],
        memory_peak_bytes=found["memory_peak_bytes"],
        gpu_utilisation=found.get("gpu_utilisation"),
        gpu_memory_bytes=found.get("gpu_memory_bytes"),
    )


def _finite(rows: Sequence[Mapping[str, float]], name: str) -> list[float]:
    return [row[name] for row in rows if name in row and abs(row[name]) <= VALUE]
