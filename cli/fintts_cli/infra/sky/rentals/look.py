"""The state of a run's instance: SkyPilot's word, compared with that of the seller."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CloudError
from fintts_cli.infra import InstancePhase, InstanceState
from fintts_cli.infra.sky.rentals.record import SkyRecord, as_state
from fintts_cli.infra.sky.sellers import trouble_of
from fintts_cli.infra.sky.sellers.desk import still_listed
from fintts_cli.infra.sky.server.errors import in_a_sentence
from fintts_cli.infra.sky.server.requests import own_launches
from fintts_cli.infra.this_machine import fate_here
from fintts_store.runs.noted_process import Fate

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_cli.infra.sky.rentals.folders import RunFolders
    from fintts_cli.infra.sky.server.session import Session

    Ask = Callable[[Any, SkyRecord], tuple[SkyRecord, InstancePhase] | None]

APPEARS_WITHIN = timedelta(minutes=10)
"""SkyPilot lists a cluster a few seconds after the request; this is how long a request that may
still be in progress is trusted to produce one."""


def look(open_sky: Session, folders: RunFolders, record: SkyRecord, ask: Ask) -> InstanceState:
    """Asks SkyPilot, then the seller; writes what changed into the record.

    Args:
        ask: asks SkyPilot about this kind of rental.

    Raises:
        CloudError: SkyPilot does not answer; or it calls the instance gone, and the seller does
            not answer.
    """
    if record.is_gone:
        return as_state(record, InstancePhase.GONE)
    log = folders.log_of(record.run)
    with open_sky(log) as sky:
        try:
            may_come = _may_come(sky, record)  # first: what comes in between is then seen
            found = ask(sky, record)
        except Exception as error:
            raise CloudError(
                f"SkyPilot cannot say whether {record.cluster} is there: "
                f"{in_a_sentence(error, log).message}",
                f"all it said is in {log}; the instance ends by itself",
            ) from error
    if found is None and may_come:
        return as_state(record, InstancePhase.PROVISIONING)
    seen, phase = found or (record, InstancePhase.GONE)
    if (left := _left(open_sky, folders, seen, phase)) is not None:
        return left
    if phase == InstancePhase.GONE:
        seen = folders.write_gone(seen, seen.ended_at)
    elif seen != record:
        folders.write(seen)
    return as_state(seen, phase)


def _left(
    open_sky: Session, folders: RunFolders, record: SkyRecord, phase: InstancePhase
) -> InstanceState | None:
    """The state of an instance that SkyPilot calls gone and its seller still lists, or on which
    nothing works. None if SkyPilot's word stands.

    Raises:
        CloudError: SkyPilot calls it gone, and the seller does not answer.
    """
    log = folders.log_of(record.run)
    with open_sky(log) as sky:
        try:
            left = still_listed(sky, record)
        except Exception as error:  # the seller or the network may fail in any way
            if phase != InstancePhase.GONE:
                return None  # SkyPilot at least says that it is there
            raise CloudError(
                f"SkyPilot no longer knows {record.cluster}, but it may be billing: "
                f"{in_a_sentence(error, log).message}",
                f"run it again; `fintts cloud down {record.run}` removes what is left",
            ) from error
    troubles = [one.sentence for one in left if trouble_of(one.seller, one.listed)]
    if not left or (phase != InstancePhase.GONE and not troubles):
        return None
    seen = record.model_copy(update={"message": "; ".join(troubles or [left[0].sentence])})
    is_kept = record.job is not None and phase != InstancePhase.GONE
    return as_state(seen, phase if is_kept else InstancePhase.TEARING_DOWN)


def _may_come(sky: Any, record: SkyRecord) -> bool:
    """Whether an instance may still come although SkyPilot knows none: a request is being made, or
    SkyPilot's server has not finished it."""
    fate = fate_here(record.asked_by) if record.asked_by else Fate.UNKNOWN
    latest = record.requested_at
    if fate == Fate.UNKNOWN:  # this server may not know requests to another machine's
        latest = record.deadline_at or latest
    if record.was_seen or datetime.now(UTC) - latest > APPEARS_WITHIN:
        return False
    if fate != Fate.ENDED:
        return True
    if record.job is not None:
        return bool(own_launches(sky, of=record.job))
    return bool(own_launches(sky, record.cluster, deadline_at=record.deadline_at))
