"""What early stopping watches must be there; this needs none of the packages that measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fintts_inputs.config import Monitor
    from fintts_inputs.errors import InputError
    from fintts_store.errors import StoreError


def cannot_stop(
    monitor: Monitor, error: InputError | StoreError, what: str = ""
) -> InputError | StoreError:
    """The same error, of a run that must not begin: nothing but its last step would end it.

    Args:
        what: what the error is about, before its message.
    """
    sentence = f"early stopping watches {monitor}, but {what}{error.message}"
    return type(error)(sentence, error.hint)
