"""How SkyPilot comes in, for whatever uses it: late, and without a tidy-up of what it makes."""

from __future__ import annotations

from functools import cache
from typing import Any

from fintts_inputs.quick_imports import quick_imports


@cache  # or each look of a `watch` would keep what garbage there is for good
def import_sky() -> Any:
    """Its SDK, which takes two seconds to import."""
    with quick_imports():
        import sky
    return sky
