"""What the run tells the world while it goes on: the heartbeat, the metrics, TensorBoard."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fintts_store.errors import Fenced, InvalidRecord, StoreError
from fintts_store.layout import metrics_key, tensorboard_prefix
from fintts_store.runs.claims import refuse_taken_over
from fintts_store.runs.records import MetricRow, Phase, Status
from fintts_store.runs.runs import read_status, stop_requested, write_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import Literal

    from fintts_store.store import Store

HEARTBEAT_SECONDS = 2.0
ROWS_A_PART = 2000
"""of less than a kilobyte each"""


class Heartbeat:
    """Writes status.json every few seconds from a thread of its own, and hears a stop request.

    The loop changes the status; the thread alone talks to the store, so a step never waits for
    the network. A heartbeat that fails is told once: training goes on without it. Once a newer
    claim has taken the run over, the status is that one's, and this one writes it no more.
    """

    def __init__(self, store: Store, status: Status, tell: Callable[[str], None]) -> None:
        self._store, self._tell = store, tell
        self._status = status
        self._changing = threading.Lock()
        """the loop, the uploader and others change it"""
        self._changed = threading.Event()
        self._ended = False
        self._in_trouble = False
        self.stop_requested = False
        self._fenced: Fenced | None = None
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Writes the first status and begins to beat."""
        self._thread.start()

    def change(self, **fields: object) -> None:
        """Replaces fields of the status; a new phase is written at once."""
        with self._changing:
            new_phase = fields.get("phase", self._status.phase) != self._status.phase
            self._status = self._status.model_copy(update=fields)
        if new_phase:
            self._changed.set()

    def check(self) -> None:
        """Raises Fenced once a newer claim has taken the run over."""
        if self._fenced is not None:
            raise self._fenced

    def end(self, phase: Phase) -> None:
        """Writes the last status and ends the thread."""
        self._ended = True
        self.change(phase=phase)
        self._changed.set()
        self._thread.join(timeout=30)

    def _beat(self) -> None:
        while True:
            last = self._ended
            self._changed.clear()
            self._write()
            if last or self._fenced is not None:
                return
            self._changed.wait(HEARTBEAT_SECONDS)

    def _write(self) -> None:
        status = self._status.model_copy(update={"updated_at": datetime.now(UTC)})
        try:
            self._refuse_newer(status)
            write_status(self._store, status)
            self.stop_requested = stop_requested(self._store, status.run)
            self._in_trouble = False
        except Fenced as error:
            self._fenced = error
        except StoreError as error:
            if not self._in_trouble:
                self._tell(f"the heartbeat fails, training goes on: {error.message}")
            self._in_trouble = True

    def _refuse_newer(self, mine: Status) -> None:
        """Raises Fenced where a newer claim writes the status; only then the claims are listed."""
        try:
            there = read_status(self._store, mine.run)
        except InvalidRecord:
            return
        if mine.claim and there is not None and (there.claim or 0) > mine.claim:
            refuse_taken_over(self._store, mine.run, mine.claim)


@dataclass
class Metrics:
    """Rows that go to the store in append-only parts.

    The loop adds, and the uploader flushes, each in its own thread.
    """

    store: Store
    run: str
    claim: int
    _rows: list[MetricRow] = field(default_factory=list[MetricRow])
    _parts: int = 0
    _flushing: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self, step: int, kind: Literal["train", "validation"], values: dict[str, float]
    ) -> None:
        """Remembers a row until the next `flush`."""
        self._rows.append(MetricRow(step=step, kind=kind, values=values, at=datetime.now(UTC)))

    def take_up(self, rows: Iterable[MetricRow]) -> None:
        """Remembers what an earlier job measured and could not write."""
        self._rows.extend(rows)

    @property
    def pending(self) -> list[MetricRow]:
        """What is not in the store yet."""
        return self._rows.copy()

    def flush(self) -> None:
        """Writes what was added as more parts; on a store error the rows stay for the next.

        Raises:
            StoreError: a part could not be written.
        """
        with self._flushing:
            # Not more than there are now: others may be added meanwhile.
            for count in _parts_of(len(self._rows)):
                text = "".join(row.dump() + "\n" for row in self._rows[:count])
                self.store.put(metrics_key(self.run, self.claim, self._parts), text.encode())
                self._parts += 1
                del self._rows[:count]


def _parts_of(rows: int) -> Iterator[int]:
    """How many rows each part holds: a part has a limit in bytes when it is read."""
    for start in range(0, rows, ROWS_A_PART):
        yield min(ROWS_A_PART, rows - start)


def bring_home_tensorboard(store: Store, run: str, claim: int, workspace: Path) -> None:
    """Puts TensorBoard's event files into the store: the workspace goes with the instance.

    Raises:
        StoreError: one could not be written.
    """
    for path in sorted(workspace.rglob("events.out.tfevents.*")):
        store.put(tensorboard_prefix(run, claim) + path.name, path)
