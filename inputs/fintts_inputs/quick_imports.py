"""Imports large libraries faster."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def quick_imports() -> Generator[None]:
    """Disables the garbage collector, and excludes the objects made so far from later collections.

    The modules of torch, transformers and PEFT create hundreds of thousands of permanent objects,
    which Python's collector would scan repeatedly during the import, and once more at exit. Use
    this once per process, since garbage from before is kept as well.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
