"""What heartbeat, result and infra say about one launch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from fintts_store.runs.ledger import Launch, Ledger
    from fintts_store.runs.records import Result, Status


@dataclass(frozen=True, slots=True)
class Witness:
    """What is known about one launch outside its own files in the ledger."""

    heard_at: datetime | None = None
    """the trainer's last heartbeat"""
    gpus: str | None = None
    """the GPUs that the trainer reports"""
    ended_at: datetime | None = None
    """when its trainer recorded the end"""
    is_live: bool = False
    """whether its infra reports it live now"""


def witness_of(
    launch: Launch,
    requested_at: datetime,
    ledger: Ledger,
    status: Status | None,
    result: Result | None,
    *,
    is_live: bool,
) -> Witness:
    """What heartbeat and result say about this launch only."""
    is_newest = ledger.newest is launch
    heard = (
        status
        if status is not None and is_about(status, launch, requested_at, is_newest=is_newest)
        else None
    )
    ended = (
        result
        if result is not None and ends(result, launch, requested_at, is_newest=is_newest)
        else None
    )
    return Witness(
        heard_at=heard.updated_at if heard else None,
        gpus=heard.gpus if heard else None,
        ended_at=ended.ended_at if ended else None,
        is_live=is_live,
    )


def is_about(status: Status, launch: Launch, requested_at: datetime, *, is_newest: bool) -> bool:
    """Whether the heartbeat belongs to this launch. One that names no launch does if it came
    between the launch's request and its end; otherwise it belongs to a later `fintts train`."""
    if status.launch is not None:
        return status.launch == launch.number
    is_later = any(gone.at < status.updated_at for gone in launch.standing_gones)
    return is_newest and status.updated_at >= requested_at and not is_later


def ends(result: Result, launch: Launch, requested_at: datetime, *, is_newest: bool) -> bool:
    """Whether the result is the end of this launch."""
    if result.launch is not None:
        return result.launch == launch.number
    return is_newest and result.ended_at >= requested_at
