"""Signals that end a command: all of them let it clean up first."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ends_like_ctrl_c() -> Generator[None]:
    """Makes `kill` and a closed terminal end the block as Ctrl-C does: with its clean-up."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(f"ended by {signal.Signals(number).name}")

    before = {number: signal.signal(number, interrupt) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
