"""The side of the child process that follows a plan: it answers in lines of JSON on stdout."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

from fintts_inputs.errors import InputError
from fintts_inputs.recordings.plan import Refused
from fintts_store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

Part = TypeVar("Part")
"""one answer, before it is wrapped for its line"""


def answer_all(
    follow: Callable[[Callable[[Part], None]], Part], wrap: Callable[[Part | Refused], BaseModel]
) -> int:
    """Reports everything that `follow` tells, and what it returns or raises; returns 0 or 1."""

    def tell(part: Part | Refused) -> None:
        sys.stdout.write(wrap(part).model_dump_json() + "\n")
        sys.stdout.flush()

    try:
        tell(follow(tell))
    except (InputError, StoreError) as error:
        tell(Refused(error=error.message, hint=error.hint))
        return 1
    return 0
