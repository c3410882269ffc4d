"""Big libraries, imported in less time."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def quick_imports() -> Generator[None]:
    """Within it no garbage is looked for, and what was made there is left alone from then on.

    The modules of torch, transformers and PEFT make hundreds of thousands of objects that stay:
    Python's collector would go through them over and over while they come, and once more when the
    process ends. To be used once in a process: what is garbage by then stays as well.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
