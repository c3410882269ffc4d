"""Claims: a claim is the right to write a run. A higher number fences all lower ones.

Claims are taken in sequence and never deleted. So an outsider put a number far above the one before
it, and a listing that lacks the caller's own claim is wrong.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime

from fintts_store import layout
from fintts_store.errors import Fenced, KeyExists, KeyNotFound, StoreError, StoreUnreachable
from fintts_store.runs.limits import CLAIMS
from fintts_store.store import Store

MOST_MISSING = 100
"""claims that may be missing below a valid one; some may have been deleted"""
_ATTEMPTS = 100
_CLAIM = re.compile("[0-9]{6}")


def highest_claim(store: Store, run: str) -> int:
    """The claim that may write; 0 if the run has no claim."""
    return highest_of(run, (entry.key for entry in store.list(layout.claims_prefix(run))))


def highest_of(run: str, keys: Iterable[str]) -> int:
    """The highest claim among a run's keys that an instance can have taken; 0 for none."""
    highest = 0
    for number in _numbers(run, keys):
        if number - highest > MOST_MISSING + 1:
            break
        highest = number
    return highest


def strange_claims(run: str, keys: Iterable[str]) -> list[str]:
    """The keys of claims too far above the others for an instance to have taken them."""
    numbers = _numbers(run, keys)
    highest = highest_of(run, [layout.claim_key(run, number) for number in numbers])
    return [layout.claim_key(run, number) for number in numbers if number > highest]


def _numbers(run: str, keys: Iterable[str]) -> list[int]:
    prefix = layout.claims_prefix(run)
    names = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
    # Other files were put there by hand or by a file browser.
    return sorted(int(name) for name in names if _CLAIM.fullmatch(name))


def take_claim(store: Store, run: str, holder: str, launch: int | None = None) -> int:
    """Takes the next number; concurrent instances get different ones.

    Args:
        launch: the number of the holder's launch, if there was one.

    Raises:
        StoreError: the store cannot be written.
    """
    content = {"holder": holder, "at": datetime.now(UTC).isoformat(), "launch": launch}
    claim = 0
    for _ in range(_ATTEMPTS):
        # A listing alone is not enough: it may lack an existing claim.
        claim = max(claim, highest_claim(store, run)) + 1
        if claim > CLAIMS:
            raise StoreError(f"run {run} has no claims left", "start a new run with --name")
        try:
            store.create(layout.claim_key(run, claim), json.dumps(content).encode())
        except KeyExists:
            continue
        return claim
    raise StoreUnreachable(
        f"run {run} is repeatedly claimed by other instances",
        "`fintts cloud ps` shows its instances",
    )


def refuse_taken_over(store: Store, run: str, claim: int) -> None:
    """Returns if this claim is the one that may write.

    Raises:
        Fenced: a newer instance has taken the run over.
        StoreUnreachable: the listing lacks this claim, so the listing is wrong.
    """
    highest = highest_claim(store, run)
    if highest > claim:
        raise Fenced(
            f"run {run} was taken over: claim {highest} is newer than claim {claim}",
            "the newer instance continues; this one's last checkpoint stays on its disk",
        )
    if highest < claim:
        raise StoreUnreachable(
            f"{store.url} does not list claim {claim} of run {run}, which this instance holds",
            "fintts tries again; `fintts store check` shows the contents of the store",
        )


def refuse_lost_claim(store: Store, run: str, claim: int) -> None:
    """Checks the claim by another request: reads its key instead of a listing.

    Raises:
        StoreUnreachable: the claim is missing.
    """
    try:
        store.get(layout.claim_key(run, claim))
    except KeyNotFound as error:
        raise StoreUnreachable(
            f"{store.url} has lost claim {claim} of run {run}, which this instance holds",
            "fintts tries again; find out what deletes files there",
        ) from error
