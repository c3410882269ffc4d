"""The values that early stopping watches, check by check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fintts_cli.runs.status.checks import PLACE_OF, Points, monitor_of, points_of
from fintts_store.errors import StoreError
from fintts_store.runs.metrics import read_metrics

if TYPE_CHECKING:
    from fintts_cli.runs.status.view import RunView
    from fintts_store.store import Store


@dataclass(slots=True)
class CheckCurve:
    """Reads the checks of a run when there is a new one; parts of the metrics once each."""

    store: Store
    run: str
    _parts: dict[str, bytes] = field(default_factory=dict[str, bytes])
    _seen: tuple[object, ...] | None = None
    _points: Points = ()

    def of(self, view: RunView) -> Points:
        """The checks so far, or those known before if the store cannot be read at the moment."""
        seen = (view.validation_value, view.step if view.has_ended else None, _committed(view))
        if seen != self._seen:
            try:
                rows = read_metrics(self.store, self.run, self._parts).rows
            except StoreError:
                return self._points
            place = PLACE_OF[monitor_of(view.record)]
            self._seen, self._points = seen, points_of(rows, *place)
        return self._points


def _committed(view: RunView) -> int | None:
    """Metrics reach the store just before a checkpoint does."""
    return None if view.heartbeat is None else view.heartbeat.last_committed_step
