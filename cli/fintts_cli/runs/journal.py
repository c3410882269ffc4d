"""The journal: a record of every requested instance, written before it is created.

If the terminal dies between the request and the answer, the entry still says what may be billing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from fintts_cli.runs.bill.terms import Rates
from fintts_store.disk.durable import write_file
from fintts_store.disk.reading import read_limited
from fintts_store.errors import InvalidRecord
from fintts_store.runs.fields import Count, HourlyRate, Launch, Moment, Name, RunName, Seconds, Usd
from fintts_store.runs.limits import RENTALS
from fintts_store.runs.noted_process import NotedProcess
from fintts_store.runs.record import Record

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


class JournalEntry(Record):
    """One instance. Times are aware and UTC; None means not known yet."""

    run: RunName
    infra: Name
    store: Name
    requested_at: Moment
    deadline_at: Moment
    rates_usd: Annotated[dict[Name, HourlyRate], Field(min_length=1, max_length=RENTALS)]
    """the hourly rate of each GPU that it may have, by name"""
    launch: Launch | None = None
    """its number in the run's ledger; None in a file from a version without launch numbers"""
    pid: Count | None = None
    """the pid of the requesting process, for versions that do not know `asked_by`"""
    asked_by: NotedProcess | None = None
    """the requesting process; None in a file from a version that recorded only its pid"""
    created_at: Moment | None = None
    gone_at: Moment | None = None
    earlier_seconds: Seconds = 0.0
    """read only: a version without a ledger wrote here the time that earlier instances were
    billed"""
    earlier_usd: Usd = Decimal(0)
    """read only: what those cost"""

    @property
    def rates(self) -> Rates:
        """Its hourly rates."""
        return Rates(self.rates_usd)


class Journal:
    """The journal's folder in this machine's state: one file per run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, entry: JournalEntry) -> None:
        """Writes the entry durably and replaces an older one of the same run.

        Raises:
            StoreError: the folder cannot be written; then nothing may be created.
        """
        write_file(self._folder / f"{entry.run}.json", entry.dump().encode())

    def change(self, run: str, **fields: datetime) -> None:
        """Updates fields of an entry; does nothing if the entry does not exist."""
        entry = self.read(run)
        if entry is not None:
            self.write(entry.model_copy(update=fields))

    def read(self, run: str) -> JournalEntry | None:
        """The entry of a run.

        Raises:
            InvalidRecord: the file is damaged.
        """
        path = self._folder / f"{run}.json"
        if not path.is_file():
            return None
        return self._load(path)

    def entries(self) -> tuple[list[JournalEntry], list[InvalidRecord]]:
        """All entries, oldest first, and the files that could not be read."""
        found: list[JournalEntry] = []
        damaged: list[InvalidRecord] = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                found.append(self._load(path))
            except InvalidRecord as error:
                damaged.append(error)
        return sorted(found, key=lambda entry: entry.requested_at), damaged

    def _load(self, path: Path) -> JournalEntry:
        entry = JournalEntry.load(read_limited(path), str(path))
        if entry.run != path.stem:
            raise InvalidRecord(
                f"{path} holds the record of run {entry.run}",
                "the file was moved or edited; delete it, then look for the instance with "
                "`fintts cloud reap`",
            )
        return entry
