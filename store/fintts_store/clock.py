"""The store's own clock beside this machine's.

Requests, deadlines and ends are moments, and those of several machines meet in the store: a laptop
whose clock is an hour off would give a deadline, and bill an end, that is wrong by an hour.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

from fintts_store.errors import StoreError
from fintts_store.store import Store

LIMIT = timedelta(seconds=60)
"""A smaller difference is cents, and less than the seconds that an instance takes to end."""
WHOLE_SECOND = timedelta(seconds=1)
"""HTTP's Date has no parts of one."""


@runtime_checkable
class HasClock(Protocol):
    """A store that can say what time it is there."""

    def clock(self, within: str = "") -> datetime | None:
        """Aware, as its server or its disk has it; None where it does not tell.

        Args:
            within: a prefix that may be listed with the key that the store is asked with.
        """
        ...


def _now() -> datetime:
    return datetime.now(UTC)


def ahead_by(store: Store, now: Callable[[], datetime] = _now, *, within: str = "") -> timedelta:
    """How far this machine's clock is ahead of the store's, below 0 where it is behind; 0 within
    the time that asking takes, and where the store does not tell.

    Raises:
        StoreError: it cannot be asked.
    """
    if not isinstance(store, HasClock):
        return timedelta()
    before, theirs, after = now(), store.clock(within), now()
    if theirs is None:
        return timedelta()
    if before > theirs + WHOLE_SECOND:
        return before - theirs - WHOLE_SECOND
    return min(after - theirs, timedelta())


def skew_of(store: Store, now: Callable[[], datetime] = _now) -> str | None:
    """In words, where it is above the limit; a store that cannot be asked says nothing."""
    try:
        ahead = ahead_by(store, now)
    except StoreError:  # the next use of the store raises it
        return None
    if abs(ahead) <= LIMIT:
        return None
    which = "ahead of" if ahead > timedelta() else "behind"
    return (
        f"this machine's clock is {abs(ahead).total_seconds():,.0f} s {which} that of {store.url}"
    )
