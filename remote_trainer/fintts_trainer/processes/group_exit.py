"""What the exit codes of this machine's processes mean for the run."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_trainer.session.exit_codes import (
    DONE,
    FAILED,
    INTERRUPTED,
    PEER_LOST,
    PREEMPTED,
    SIGNALLED,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fintts_trainer.processes.layout import ProcessLayout


@dataclass(frozen=True, slots=True)
class GroupExit:
    """How the processes of this machine ended.

    Attributes:
        exit_code: of the run, as far as this machine knows.
        trouble: the reason in a sentence, if the first process could not report it.
    """

    exit_code: int
    trouble: str | None = None


def group_exit(layout: ProcessLayout, codes: Mapping[int, int], forwarded: int | None) -> GroupExit:
    """What the exit codes of this machine's processes mean for the run.

    Args:
        codes: by local rank, of processes that ended by themselves.
        forwarded: the signal that was forwarded to them, if any.
    """
    left = (DONE, PREEMPTED, *((-signal.SIGTERM,) if forwarded is not None else ()))
    for local_rank, code in codes.items():
        if code < 0 and code not in left:
            if layout.size == 1:
                return GroupExit(SIGNALLED - code)
            return GroupExit(FAILED, _killed(layout.rank(local_rank), layout.size, -code))
    for local_rank, code in sorted(codes.items()):
        if code not in (*left, PEER_LOST):
            return GroupExit(
                code, None if layout.rank(local_rank) == 0 else _failed(layout, local_rank)
            )
    if PEER_LOST in codes.values():
        return GroupExit(FAILED, "a process of this run on another machine has ended")
    if any(codes.values()):
        return GroupExit(INTERRUPTED if forwarded == signal.SIGINT else PREEMPTED)
    return GroupExit(DONE)


def _killed(rank: int, size: int, number: int) -> str:
    name = signal.Signals(number).name
    why = ", perhaps because the machine's memory was full" if number == signal.SIGKILL else ""
    return f"process {rank} of {size} was ended by {name}{why}"


def _failed(layout: ProcessLayout, local_rank: int) -> str:
    return f"process {layout.rank(local_rank)} of {layout.size} failed; the log says why"
