"""What a command works with besides the state of this machine: infras, prices and time limits."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from fintts_cli.infra import Infra
    from fintts_cli.prices.source import OfferSource

ANSWERS_WITHIN_SECONDS = 20.0
"""A healthy store answers within a second or two."""
SECOND_LOOK_SECONDS = 20.0
"""delay before a second look at a heartbeat that seems old: if it has moved, the trainer works and
a clock is wrong"""


class Equipment(NamedTuple):
    """The tools of one command. A caller that embeds the program hands in its own, as Typer's
    context object."""

    open_infra: Callable[[Path, str], Infra] | None = None
    """takes the state folder and an infra's name; None: SkyPilot and this machine"""
    open_offers: Callable[[], OfferSource] | None = None
    """opens the prices; None: SkyPilot's, else those that fintts ships"""
    answers_within_seconds: float = ANSWERS_WITHIN_SECONDS
    """how long a command waits for a store's answer"""
    second_look_seconds: float = SECOND_LOOK_SECONDS
    """how long `reap` waits before it looks again for a heartbeat"""


USUAL = Equipment()
_in_use = ContextVar("equipment", default=USUAL)


def equipment() -> Equipment:
    """The tools of the command that runs."""
    return _in_use.get()


@contextmanager
def equipped(given: object) -> Generator[None]:
    """Lets commands work with these tools while the block lasts; anything else changes nothing."""
    token = _in_use.set(given if isinstance(given, Equipment) else _in_use.get())
    try:
        yield
    finally:
        _in_use.reset(token)
