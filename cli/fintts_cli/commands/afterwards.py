"""What to type once a run has ended."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from fintts_store.checkpoints.listing import list_commits
from fintts_store.errors import StoreError

if TYPE_CHECKING:
    from fintts_store.store import Store


def what_next(runs: Store, run: str) -> str:
    """A sentence with the next commands. A run that ended before its first checkpoint has none to
    download."""
    report = f"`fintts cloud report {run}`"
    with suppress(StoreError):  # it has just answered; the report says more if it is gone
        if list_commits(runs, run):
            return f"next: `fintts cloud pull-checkpoints {run}`, {report}"
        return f"it saved no checkpoint; next: {report}"
    return f"next: {report}"
