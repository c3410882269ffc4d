"""Work that the laptop asks for in a process of its own: one JSON document on stdout says how it
went."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from fintts_inputs.errors import InputError
from fintts_store.errors import StoreError
from fintts_trainer.errors import TrainerError

if TYPE_CHECKING:
    from collections.abc import Callable


def answer(work: Callable[[], int]) -> int:
    """Says how much was done (`{"done": 458}`), or the error and its hint; returns 0 or 1."""
    try:
        content: dict[str, object] = {"done": work()}
    except (InputError, TrainerError, StoreError) as error:
        content = {"error": error.message, "hint": error.hint}
    sys.stdout.write(json.dumps(content) + "\n")
    return 1 if "error" in content else 0
