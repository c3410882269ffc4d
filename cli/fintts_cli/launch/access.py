"""A rented instance's access to the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_store.backend import Grant
from fintts_store.opening import backend_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cli.launch.launch import Launch


def grant_for(launch: Launch, reads: Sequence[str] = (), adds_to: Sequence[str] = ()) -> Grant:
    """A rented instance's access to the store; this machine has its own.

    Args:
        reads: keys and prefixes in the store that the run reads in addition to its own.
        adds_to: those of these prefixes to which it adds files.

    Raises:
        StoreError: no such key can be made, or none that lasts until the deadline.
    """
    if launch.settings.is_local:
        return Grant({})
    url, role = launch.store.url, launch.settings.instance_role_arn or ""
    end = launch.deadline_at
    return backend_of(url).grant(url, launch.run, reads, end, role, adds_to=adds_to)
