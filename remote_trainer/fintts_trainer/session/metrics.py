"""The curves of a run in the store: metrics in append-only parts, and TensorBoard's files."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fintts_store.layout import metrics_key, tensorboard_prefix
from fintts_store.runs.records import MetricRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from fintts_store.runs.records import MetricKind
    from fintts_store.store import Store

ROWS_A_PART = 2000
"""of less than a kilobyte each"""


@dataclass
class Metrics:
    """Rows, written to the store in append-only parts.

    The loop adds rows and the uploader flushes them, each in its own thread.
    """

    store: Store
    run: str
    claim: int
    _rows: list[MetricRow] = field(default_factory=list[MetricRow])
    _parts: int = 0
    _flushing: threading.Lock = field(default_factory=threading.Lock)

    def add(self, step: int, kind: MetricKind, values: dict[str, float]) -> None:
        """Keeps a row until the next `flush`."""
        self._rows.append(MetricRow(step=step, kind=kind, values=values, at=datetime.now(UTC)))

    def add_rows(self, rows: Iterable[MetricRow]) -> None:
        """Adds rows that an earlier job measured and could not write."""
        self._rows.extend(rows)

    @property
    def pending(self) -> list[MetricRow]:
        """Rows that are not in the store yet."""
        return self._rows.copy()

    def flush(self) -> None:
        """Writes the pending rows as new parts; after a store error they stay pending.

        Raises:
            StoreError: a part could not be written.
        """
        with self._flushing:
            # Only the current rows: the loop may add others during the upload.
            for count in _parts_of(len(self._rows)):
                text = "".join(row.dump() + "\n" for row in self._rows[:count])
                self.store.put(metrics_key(self.run, self.claim, self._parts), text.encode())
                self._parts += 1
                del self._rows[:count]


def _parts_of(rows: int) -> Iterator[int]:
    """Rows of each part; readers limit the bytes of a part."""
    for start in range(0, rows, ROWS_A_PART):
        yield min(ROWS_A_PART, rows - start)


def upload_tensorboard(store: Store, run: str, claim: int, workspace: Path) -> None:
    """Uploads TensorBoard's event files, since the workspace ends with the instance.

    Raises:
        StoreError: one could not be written.
    """
    for path in sorted(workspace.rglob("events.out.tfevents.*")):
        store.put(tensorboard_prefix(run, claim) + path.name, path)
