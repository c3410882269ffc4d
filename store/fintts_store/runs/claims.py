"""Claims: the right to write a run. A higher number fences all lower ones."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime

from fintts_store import layout
from fintts_store.errors import KeyExists, StoreUnreachable
from fintts_store.store import Store

_ATTEMPTS = 100
_CLAIM = re.compile("[0-9]{6}")


def highest_claim(store: Store, run: str) -> int:
    """The claim that may write; 0 when nobody has claimed the run."""
    return highest_of(run, (entry.key for entry in store.list(layout.claims_prefix(run))))


def highest_of(run: str, keys: Iterable[str]) -> int:
    """The highest claim among a run's keys; 0 when there is none."""
    prefix = layout.claims_prefix(run)
    names = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
    # Anything else was put there by hand, such as a file browser's own file.
    return max((int(name) for name in names if _CLAIM.fullmatch(name)), default=0)


def take_claim(store: Store, run: str, holder: str) -> int:
    """Takes the next number; of several instances at once each gets one of its own.

    Raises:
        StoreError: the store cannot be written.
    """
    content = {"holder": holder, "at": datetime.now(UTC).isoformat()}
    for _ in range(_ATTEMPTS):
        claim = highest_claim(store, run) + 1
        try:
            store.create(layout.claim_key(run, claim), json.dumps(content).encode())
        except KeyExists:
            continue
        return claim
    raise StoreUnreachable(
        f"run {run} is claimed by others all the time",
        "see how many instances were started for it: fintts cloud ps",
    )
