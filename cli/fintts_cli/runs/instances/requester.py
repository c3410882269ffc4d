"""Tells whether the process that asked for an instance may still be asking."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fintts_cli.infra.this_machine import fate_here
from fintts_store.runs.noted_process import Fate

if TYPE_CHECKING:
    from fintts_store.runs.noted_process import NotedProcess


def fate_of_asker(asker: NotedProcess | None) -> Fate:
    """The fate of the process. This process counts as ended, since it asks for nothing now.

    Args:
        asker: None if no process was recorded.
    """
    if asker is None:
        return Fate.UNKNOWN
    fate = fate_here(asker)
    return Fate.ENDED if fate == Fate.LIVES and asker.pid == os.getpid() else fate
