"""Imports SkyPilot late, without garbage collection and without its warnings."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

from fintts_inputs.quick_imports import quick_imports


@cache  # otherwise each look of a `watch` would keep its garbage for ever
def import_sky() -> Any:
    """SkyPilot's SDK, which takes two seconds to import.

    Its import warns of what its authors have to change. Where warnings are errors, one would end
    the import midway, and no later import in this process would succeed.
    """
    with quick_imports(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sky
    return sky
