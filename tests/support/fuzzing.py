"""How long the tests that draw arbitrary input go on."""

from __future__ import annotations

import os

FUZZ = int(os.environ.get("FUZZ", "1"))
"""FUZZ=10 draws ten times as many examples as CI does"""


def examples(count: int) -> int:
    """How many examples a test draws that draws `count` on CI."""
    return count * FUZZ
