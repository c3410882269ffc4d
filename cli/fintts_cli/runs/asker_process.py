"""Whether the process that asks for an instance may still be at it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fintts_cli.infra.this_machine import fate_here
from fintts_store.runs.noted_process import Fate

if TYPE_CHECKING:
    from fintts_store.runs.noted_process import NotedProcess


def fate_of_asker(asker: NotedProcess | None) -> Fate:
    """What became of it; this very process knows what it does, so it counts as one that ended.

    Args:
        asker: None where nobody noted it.
    """
    if asker is None:
        return Fate.UNKNOWN
    fate = fate_here(asker)
    return Fate.ENDED if fate == Fate.LIVES and asker.pid == os.getpid() else fate
