"""What early stopping watches, and the values of a run's metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.config import EarlyStoppingConfig
from fintts_store.runs.limits import VALUE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fintts_store.runs.records import MetricRow, RunRecord

Points = tuple[tuple[int, float], ...]
"""(step, value), in the order of the steps"""

VALUE_OF = {"val/loss": "loss", "val/top5_accuracy": "top5_accuracy", "train/loss": "train_loss"}
"""monitor → its name in a row of a validation check"""


def monitor_of(record: RunRecord) -> str:
    """What early stopping watches, or would watch."""
    section = record.config.get("early_stopping")
    monitor = section.get("monitor") if isinstance(section, dict) else None
    return monitor if monitor in VALUE_OF else EarlyStoppingConfig().monitor


def points_of(rows: Iterable[MetricRow], kind: str, name: str) -> Points:
    """The values of one name; one that is not finite, or huge, is left out."""
    return tuple(
        (row.step, value)
        for row in rows
        if row.kind == kind and abs(value := row.values.get(name, float("nan"))) <= VALUE
    )
