"""FINTTS_HANG_FACTOR: multiplies the limits after which a silent trainer counts as hung.

The laptop refuses an invalid factor before anything is spent; an instance warns and uses 1.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fintts_inputs.errors import BadFactor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FACTOR = "FINTTS_HANG_FACTOR"
LEAST, MOST = 0.01, 100.0
"""With the largest factor, a hang is noticed after eight hours, when the deadline ends most
runs."""


def factor_in(environment: Mapping[str, str] = os.environ) -> float:
    """The factor in the environment; 1 if it is not set.

    Raises:
        BadFactor: it is not a number from LEAST to MOST.
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
    """The same for a run that has started: an invalid factor causes a warning instead of an
    error."""
    try:
        return factor_in(environment)
    except BadFactor as error:
        warn(f"{error.message}: it counts as 1")
        return 1.0
