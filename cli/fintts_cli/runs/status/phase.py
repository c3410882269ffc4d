"""The phase of a run and a remark about it, from heartbeat, result and instance."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fintts_cli.runs.instances.at_work import FRESH_WITHIN
from fintts_store.runs.records import Phase

if TYPE_CHECKING:
    from fintts_cli.runs.instances.view import InstanceView
    from fintts_store.runs.records import Result, Status

STALE_AFTER = timedelta(seconds=120)
"""Heartbeats come every few seconds; after two minutes without one, something is wrong."""


def is_silent(
    status: Status | None, result: Result | None, instance: InstanceView, now: datetime
) -> bool:
    """Whether the run is silent, as after a `fintts train` that was killed or interrupted."""
    if status is None or result is not None or instance.is_live is not None:
        return False
    limit = FRESH_WITHIN if status.phase == Phase.STOPPING else STALE_AFTER
    return now - status.updated_at > limit


def phase_of(
    status: Status | None, result: Result | None, instance: InstanceView, now: datetime
) -> tuple[Phase, str | None]:
    """The phase, and a remark about it."""
    if result is not None:
        return _ended(result, instance)
    if instance.is_live is False:
        return Phase.FAILED, _lost(status, instance.message)
    if instance.is_live and instance.message is not None:
        return instance.phase or Phase.TEARING_DOWN, instance.message
    if instance.is_recovering:
        return Phase.PROVISIONING, _taken_away(status)
    if status is None:
        return instance.phase or Phase.PENDING, None
    if status.phase == Phase.PROVISIONING:
        return instance.phase or Phase.PROVISIONING, None
    silence = now - status.updated_at
    if silence > STALE_AFTER:
        return status.phase, f"no heartbeat for {silence.total_seconds() / 60:.0f} minutes"
    return status.phase, status.message


def _ended(result: Result, instance: InstanceView) -> tuple[Phase, str | None]:
    if instance.is_live:
        return Phase.TEARING_DOWN, instance.message or result.message
    return (Phase.FAILED if result.stop_reason.is_failure else Phase.DONE), result.message


def _lost(status: Status | None, why: str | None) -> str:
    if status is None and why is not None:
        return f"the run got no instance: {why}"
    if status is None:
        return "the instance is gone, and the trainer never wrote a heartbeat: see the logs"
    committed = status.last_committed_step
    saved = "no checkpoint" if committed is None else f"the checkpoint of step {committed}"
    reason = f" ({status.message or why})" if status.message or why else ""
    return f"the instance ended at step {status.step} without a result{reason}; {saved} was saved"


def _taken_away(status: Status | None) -> str:
    committed = None if status is None else status.last_committed_step
    where = "starts over" if committed is None else f"resumes from step {committed}"
    return f"the cloud took the instance away; the run {where} on the next instance"
