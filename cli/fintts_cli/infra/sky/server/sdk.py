"""Imports SkyPilot late, and without garbage collection during the import."""

from __future__ import annotations

from functools import cache
from typing import Any

from fintts_inputs.quick_imports import quick_imports


@cache  # otherwise each look of a `watch` would keep its garbage for ever
def import_sky() -> Any:
    """SkyPilot's SDK, which takes two seconds to import."""
    with quick_imports():
        import sky
    return sky
