"""Compares the store's clock with this machine's.

The store holds requests, deadlines and ends from different machines' clocks: a laptop whose clock
is an hour off would set a deadline, and bill an end, that is wrong by an hour.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

from fintts_store.errors import StoreError
from fintts_store.store import Store

LIMIT = timedelta(seconds=60)
"""A smaller difference costs cents, and is less than an instance takes to end."""
WHOLE_SECOND = timedelta(seconds=1)
"""HTTP's Date has whole seconds."""


@runtime_checkable
class HasClock(Protocol):
    """A store that can give its time."""

    def clock(self, within: str = "") -> datetime | None:
        """The aware time of its server or disk; None if unknown.

        Args:
            within: a prefix that the caller's credentials may list.
        """
        ...


def _now() -> datetime:
    return datetime.now(UTC)


def ahead_by(store: Store, now: Callable[[], datetime] = _now, *, within: str = "") -> timedelta:
    """How far this machine's clock is ahead of the store's, negative if behind; 0 within the
    duration of the request, and if the store does not give its time.

    Raises:
        StoreError: the store cannot be asked.
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
    """The difference in words; None if within the limit, or if the store cannot be asked."""
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
