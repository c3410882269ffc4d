"""Warns about a price from an old list."""

from __future__ import annotations

from datetime import date

OLD_AFTER_DAYS = 30


def old_list(as_of: str | None, today: date) -> str | None:
    """A warning about a price from an old list; None if the list is recent or undated."""
    try:
        days = (today - date.fromisoformat(as_of or "")).days
    except ValueError:
        return None
    if days <= OLD_AFTER_DAYS:
        return None
    return f"the price is from a list of {as_of}, {days:,} days ago: it may have changed since"
