"""How moments are written, in the documents of --json and in what a task gets."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


def iso(when: datetime | None) -> str | None:
    """2026-11-29T18:05:00Z; microseconds where there are some."""
    return None if when is None else when.isoformat().replace("+00:00", "Z")


def iso_second(when: datetime) -> str:
    """2026-11-29T18:05:00Z: as a task gets a moment, in whole seconds."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
