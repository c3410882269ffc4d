"""Checks that cannot pass by looking at nothing."""

from __future__ import annotations

from collections.abc import Iterable


def every(truths: Iterable[object]) -> bool:
    """Whether all of them hold, and there is one: `all` is true of an empty list."""
    found = [bool(truth) for truth in truths]
    return bool(found) and all(found)
