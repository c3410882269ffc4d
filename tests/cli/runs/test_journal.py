"""The journal: written before, changed after, and readable whatever else lies beside it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from fintts_cli.runs.journal import Journal, JournalEntry
from fintts_store.errors import InvalidRecord, StoreError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def entry(run: str, hours: int = 0) -> JournalEntry:
    return JournalEntry(
        run=run,
        infra="local",
        store="/somewhere",
        requested_at=NOON + timedelta(hours=hours),
        deadline_at=NOON + timedelta(hours=hours + 5),
        rates_usd={"A100-80GB:1": Decimal("1.20"), "H100:1": Decimal("2.40")},
    )


def test_an_entry_is_kept_and_changed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    assert journal.read("one") is None
    journal.change("one", gone_at=NOON)
    assert journal.read("one") is None
    journal.write(entry("one"))
    journal.change("one", created_at=NOON)
    journal.change("one", gone_at=NOON + timedelta(hours=1))
    found = journal.read("one")
    assert found is not None
    assert found.rates.of("A100-80GB:1") == Decimal("1.20")
    assert (found.created_at, found.gone_at) == (NOON, NOON + timedelta(hours=1))


def test_an_entry_of_a_version_without_a_ledger_is_read(tmp_path: Path) -> None:
    lived = {"earlier_seconds": 60.0, "earlier_usd": "1.5", "lived_usd": "1.20"}
    (tmp_path / "one.json").write_text(json.dumps(json.loads(entry("one").dump()) | lived))
    found = Journal(tmp_path).read("one")
    assert found is not None
    assert (found.earlier_seconds, found.earlier_usd) == (60.0, Decimal("1.5"))
    assert (found.launch, found.pid) == (None, None)


def test_all_are_read_in_order_and_damage_is_named(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for run, hours in (("late", 3), ("early", 1)):
        journal.write(entry(run, hours))
    (tmp_path / "torn.json").write_text('{"run": "torn", "inf')
    (tmp_path / ".tmp-1234-x.json.part").write_text("half")
    entries, damaged = journal.entries()
    assert [each.run for each in entries] == ["early", "late"]
    assert len(damaged) == 1
    assert "torn.json" in damaged[0].message
    with pytest.raises(InvalidRecord):
        journal.read("torn")


def test_a_journal_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file")
    with pytest.raises(StoreError):
        Journal(tmp_path / "journal").write(entry("one"))
