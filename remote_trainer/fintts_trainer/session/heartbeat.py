"""The heartbeat: a thread that keeps status.json current and reads stop requests."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fintts_store.errors import Fenced, InvalidRecord, StoreError
from fintts_store.runs.claims import refuse_taken_over
from fintts_store.runs.runs import read_status, stop_requested, write_status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from fintts_store.runs.records import Phase, Status
    from fintts_store.store import Store

HEARTBEAT_SECONDS = 2.0


class Heartbeat:
    """Writes status.json every few seconds in its own thread, and reads stop requests.

    The loop changes the status; only the thread talks to the store, so a step never waits for the
    network. A failing heartbeat is logged once, and training continues without it. After a newer
    claim has taken over the run, this heartbeat writes no status.
    """

    def __init__(
        self,
        store: Store,
        status: Status,
        log: Callable[[str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._store, self._log, self._now = store, log, now
        self._status = status
        self._changing = threading.Lock()
        """the loop, the uploader and others change it"""
        self._changed = threading.Event()
        self._ended = False
        self._in_trouble = False
        self.stop_requested = False
        self._fenced: Fenced | None = None
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    @property
    def status(self) -> Status:
        """As it will be written next."""
        return self._status

    def start(self) -> None:
        """Writes the first status and starts the thread."""
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
        status = self._status.model_copy(update={"updated_at": self._now()})
        try:
            self._refuse_newer(status)
            write_status(self._store, status)
            self.stop_requested = stop_requested(self._store, status.run)
            self._in_trouble = False
        except Fenced as error:
            self._fenced = error
        except StoreError as error:
            if not self._in_trouble:
                self._log(f"the heartbeat fails; training continues: {error.message}")
            self._in_trouble = True

    def _refuse_newer(self, mine: Status) -> None:
        """Raises Fenced if a newer claim writes the status; the claims are listed only then."""
        try:
            there = read_status(self._store, mine.run)
        except InvalidRecord:
            return
        if mine.claim and there is not None and (there.claim or 0) > mine.claim:
            refuse_taken_over(self._store, mine.run, mine.claim)
