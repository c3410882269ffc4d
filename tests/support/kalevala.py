"""The example's folder, and its scripts as modules."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

KALEVALA = Path(__file__).parents[2] / "examples" / "kalevala"


def script(name: str) -> ModuleType:
    """A script of the example; it finds the others beside it."""
    place = str(KALEVALA)
    if place not in sys.path:
        sys.path.append(place)
    return importlib.import_module(name)
