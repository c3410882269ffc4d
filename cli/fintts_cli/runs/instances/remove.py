"""Removes a run's instance using what this machine and the clouds know, without asking the
store."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError
from fintts_cli.infra import Removed
from fintts_cli.places import LOCAL, cloud_of
from fintts_store.errors import InvalidRecord, StoreError
from fintts_store.opening import is_same_place

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from fintts_cli.infra import Infra
    from fintts_cli.runs.journal import Journal, JournalEntry


def remove_instance(
    run: str, store_url: str | None, journal: Journal, infras: Sequence[Infra], now: datetime
) -> Removed:
    """Returns once nothing is left that this machine requested under the run's name.

    A damaged record does not hide an instance: names and labels identify it. Instances of a run
    with the same name in another store are left alone.

    Args:
        store_url: the store of the run; None if unknown.

    Raises:
        CloudError: it could not be removed, and may be billing.
    """
    entry, damage = _read(journal, run)
    if entry and store_url is not None and not is_same_place(entry.store, store_url):
        return Removed(was_there=False)
    removed = _remove_everywhere(run, infras, bool(damage), entry)
    with suppress(StoreError):  # on a full disk here the end stays unrecorded
        journal.change(run, gone_at=now)
    remarks = [*damage, *(remark for one in removed for remark in one.remarks)]
    return Removed(any(one.was_there for one in removed), tuple(remarks))


def _remove_everywhere(
    run: str, infras: Sequence[Infra], is_damaged: bool, entry: JournalEntry | None
) -> list[Removed]:
    """Asks every infra, even after one fails; raises the first failure at the end."""
    own = next((one for one in infras if entry and one.name == cloud_of(entry.infra)), None)
    is_missed = entry is not None and _is_missed(entry)
    removed: list[Removed] = []
    failed: list[CloudError] = []
    for infra in infras:
        try:
            by_name = is_damaged or (is_missed and own in (None, infra))
            removed.append(infra.down(run, by_name=by_name))
        except CloudError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return removed


def _read(journal: Journal, run: str) -> tuple[JournalEntry | None, list[str]]:
    try:
        return journal.read(run), []
    except InvalidRecord as error:
        return None, [error.message]


def _is_missed(entry: JournalEntry) -> bool:
    """Whether a cloud may have the instance although its infra has no record of it."""
    return entry.infra != LOCAL and entry.gone_at is None
