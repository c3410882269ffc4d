"""Reads a run's newest claim, which `at_work.judge` needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.runs.instances.at_work import Claimed
from fintts_store import layout
from fintts_store.errors import InvalidRecord, KeyNotFound
from fintts_store.runs.claims import highest_claim
from fintts_store.runs.fields import Launch  # pydantic reads it
from fintts_store.runs.limits import RECORD_BYTES
from fintts_store.runs.record import Record

if TYPE_CHECKING:
    from fintts_store.store import Store


class ClaimContent(Record):
    """What a claim says about its holder, as far as `at_work.judge` needs it."""

    launch: Launch | None = None


def newest_claim(store: Store, run: str) -> Claimed | None:
    """The newest claim; None if the run has none.

    Raises:
        StoreError: the store cannot be read.
    """
    number = highest_claim(store, run)
    return Claimed(number, _launch_in(store, layout.claim_key(run, number))) if number else None


def _launch_in(store: Store, key: str) -> int | None:
    """The launch that the claim's holder names; None if the claim is damaged."""
    try:
        return ClaimContent.load(store.get(key, RECORD_BYTES), key).launch
    except (InvalidRecord, KeyNotFound):
        return None
