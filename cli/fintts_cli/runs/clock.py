"""Checks this machine's clock: a wrong one gives a rented machine a wrong deadline and shows wrong
costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.errors import UsageProblem
from fintts_cli.places import LOCAL
from fintts_store.probes.clock import skew_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_store.store import Store

SET_IT = "correct the wrong clock, on most machines with `timedatectl set-ntp true`"


def refuse_wrong_clock(store: Store, infra: str | None, tell: Callable[[str], None]) -> None:
    """Refuses to rent with a wrong clock; for a run on this machine it only warns, since trainer
    and deadline use the same clock.

    Raises:
        UsageProblem: an instance is to be rented, and this machine's clock differs from the
            store's.
    """
    skew = skew_of(store)
    if skew is None:
        return
    if infra != LOCAL:
        raise UsageProblem(
            f"{skew}, so the deadline and the bill would be wrong by that much", SET_IT
        )
    tell(f"{skew}: times from other machines appear to be off by that much")


def warn_of_wrong_clock(store: Store, warn: Callable[[str, str], None]) -> str | None:
    """Warns if the clock is wrong; for commands that show runs. Returns the difference in words."""
    skew = skew_of(store)
    if skew is not None:
        warn(off_by(skew), SET_IT)
    return skew


def off_by(skew: str) -> str:
    """What a difference between the clocks means for what is shown."""
    return f"{skew}: the times and costs below may be off by that much"
