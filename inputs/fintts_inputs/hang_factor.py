"""FINTTS_HANG_FACTOR: what a trainer's limits of silence are multiplied by on a slow machine.

The laptop refuses nonsense before anything is spent; an instance warns and continues with 1.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fintts_inputs.errors import BadFactor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FACTOR = "FINTTS_HANG_FACTOR"
LEAST, MOST = 0.01, 100.0
"""With the most of them a hang is noticed after eight hours, and the deadline ends most runs."""


def factor_in(environment: Mapping[str, str] = os.environ) -> float:
    """What the environment says; 1 where it says nothing.

    Raises:
        BadFactor: it is no number from LEAST to MOST.
    """
    text = environment.get(FACTOR, "").strip()
    try:
        told = float(text or "1")
    except ValueError:
        told = 0.0
    if LEAST <= told <= MOST:
        return told
    raise BadFactor(
        f"{FACTOR} is {text!r}, but must be a number from {LEAST:g} to {MOST:g}",
        f"unset {FACTOR}, or set it to 10 on a very slow machine",
    )


def factor_or_default(warn: Callable[[str], None], environment: Mapping[str, str]) -> float:
    """The same where a run has begun: nonsense is said, and does not end it."""
    try:
        return factor_in(environment)
    except BadFactor as error:
        warn(f"{error.message}: it counts as 1")
        return 1.0
