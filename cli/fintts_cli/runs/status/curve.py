"""The values that early stopping watches, check by check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fintts_inputs.config import EarlyStoppingConfig
from fintts_store.errors import StoreError
from fintts_store.runs.limits import VALUE
from fintts_store.runs.metrics import read_metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fintts_cli.runs.status.view import RunView
    from fintts_store.runs.records import MetricRow, RunRecord
    from fintts_store.store import Store

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


@dataclass(slots=True)
class CheckCurve:
    """Reads the checks of a run when there is a new one; parts of the metrics once each."""

    store: Store
    run: str
    _parts: dict[str, bytes] = field(default_factory=dict[str, bytes])
    _seen: tuple[object, ...] | None = None
    _points: Points = ()

    def of(self, view: RunView) -> Points:
        """The checks up to now; without those that the store does not give at the moment."""
        seen = (view.validation_value, view.step if view.has_ended else None, _committed(view))
        if seen != self._seen:
            try:
                rows = read_metrics(self.store, self.run, self._parts).rows
            except StoreError:
                return self._points
            name = VALUE_OF[monitor_of(view.record)]
            self._seen, self._points = seen, points_of(rows, "validation", name)
        return self._points


def _committed(view: RunView) -> int | None:
    """Metrics reach the store just before a checkpoint does."""
    return None if view.heartbeat is None else view.heartbeat.last_committed_step
