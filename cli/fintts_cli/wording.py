"""How values stand in the documents of --json."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


def iso(when: datetime | None) -> str | None:
    """2026-11-29T18:05:00Z; microseconds where there are some."""
    return None if when is None else when.isoformat().replace("+00:00", "Z")
