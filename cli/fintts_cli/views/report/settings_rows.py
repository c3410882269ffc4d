"""A configuration as rows of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue


def settings_of(content: Mapping[str, JsonValue], prefix: str = "") -> dict[str, str]:
    """Nested settings as `section.key` → value."""
    found: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found |= settings_of(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            found[prefix + key] = ", ".join(map(str, value))
        else:
            found[prefix + key] = "–" if value is None else str(value)
    return found
