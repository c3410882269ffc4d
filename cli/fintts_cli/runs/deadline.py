"""Which deadline counts, where several are recorded: the one that the newest launch was given.

A launch's deadline is written into its instance's label, the ledger, the laptop's journal and the
task; the trainer repeats it in its heartbeat. run.json keeps the deadline of the first launch. So
for a run the order is ledger, heartbeat, run.json; for an instance it is label, journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from fintts_cli.infra import Sighting
    from fintts_cli.runs.journal import JournalEntry
    from fintts_store.runs.ledger import Ledger
    from fintts_store.runs.records import Status
    from fintts_store.runs.run_record import RunRecord


def deadline_of_run(record: RunRecord, status: Status | None, ledger: Ledger) -> datetime:
    """The deadline of a run's newest launch."""
    if ledger.newest is not None and ledger.newest.asked is not None:
        return ledger.newest.asked.deadline_at
    return record.deadline_at if status is None else status.deadline_at


def deadline_of_instance(seen: Sighting, own: JournalEntry | None) -> datetime | None:
    """The deadline of an instance; None if neither label nor journal has one."""
    if seen.deadline_at is not None:
        return seen.deadline_at
    return None if own is None else own.deadline_at


def labelled(deadline_at: datetime) -> datetime:
    """A deadline as a label names it: earlier versions recorded fractions of a second."""
    return deadline_at.replace(microsecond=0)
