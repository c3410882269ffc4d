"""How long a run may speak and measure."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class OutOfTime(Exception):
    """The sentences of a check take too long."""


class Interrupted(Exception):
    """The run must end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When to give up.

    Attributes:
        until: the last moment, by `time.monotonic`.
        by_deadline: whether the run's deadline sets it, and not `samples.seconds_a_check`.
        is_interrupted: whether the run must end; asked at each frame.
        sign: reports progress at each frame.
    """

    until: float
    is_interrupted: Callable[[], bool]
    sign: Callable[[], None]
    by_deadline: bool = False

    @property
    def named(self) -> str:
        """What the sentences of a check must fit into."""
        return "the time before the deadline" if self.by_deadline else "samples.seconds_a_check"

    def check(self, _frames: int = 0) -> None:
        """Raises OutOfTime or Interrupted."""
        self.sign()
        if self.is_interrupted():
            raise Interrupted
        if time.monotonic() > self.until:
            raise OutOfTime(self.named)
