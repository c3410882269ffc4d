"""Schedules an instance's power-off before anything else happens on it; on AWS only, through user
data.

SkyPilot sets its autodown only after provisioning and copying files. If the laptop is shut in that
half minute, nothing would end the instance. cloud-init runs this on the first boot: the machine
powers itself off at the end of its time, whatever happens to SkyPilot, trainer and laptop. AWS then
bills only the disk, until the instance is removed; if the launch succeeded, AWS is also set to
terminate the instance at power-off.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fintts_cli.infra.sky.aws import AWS, end_with_shutdown

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from fintts_cli.infra.sky.launch.asked_task import AskedTask

USER_DATA = (AWS, "post_provision_runcmd")
"""SkyPilot's setting for commands that cloud-init runs; no other cloud in SkyPilot has it"""
OVER_AT, DEADLINE_AT = "FINTTS_OVER_AT", "FINTTS_DEADLINE_AT"
LONGEST_RESERVE = timedelta(minutes=15)
"""after the deadline, if the task does not say when everything ends"""
LEAST_SPOT_MINUTES = 15
"""A replacement that comes after that moment gets this long to report: SkyPilot would take an
instance that powers off sooner for lost, and rent again."""


def over_at(envs: Mapping[str, object]) -> datetime | None:
    """When billing of the task must have ended; None if it has no deadline."""
    if OVER_AT in envs:
        return _moment(str(envs[OVER_AT]))
    if DEADLINE_AT in envs:
        return _moment(str(envs[DEADLINE_AT])) + LONGEST_RESERVE
    return None


def power_off_command(moment: datetime, now: datetime, least_minutes: int) -> str:
    """The command, for /bin/sh as root. It is unquoted in YAML, so it has neither ": " nor " #".

    The machine boots after `now`: one with a slow clock gets no more minutes than are left now.
    """
    minutes = f"$(( ({int(moment.timestamp())} - $(date +%s)) / 60 ))"
    most = f"[ $left -lt {_whole_minutes(moment - now)} ] || left={_whole_minutes(moment - now)}"
    least = f"[ $left -gt {least_minutes} ] || left={least_minutes}"
    return f"left={minutes}; {most}; {least}; shutdown -P +$left"


def _whole_minutes(time: timedelta) -> int:
    return int(time / timedelta(minutes=1))


@contextmanager
def end_armed(sky: Any, asked: AskedTask) -> Generator[None]:
    """Within this context, each instance requested on AWS powers itself off at the end of its
    time."""
    moment = over_at(asked.envs)
    if moment is None:
        yield
        return
    least = LEAST_SPOT_MINUTES if asked.is_spot else 1
    settings = sky.skypilot_config
    theirs: list[object] = settings.get_nested(USER_DATA, None) or []
    cloud, name = USER_DATA
    armed = [*theirs, power_off_command(moment, datetime.now(UTC), least)]
    with settings.override_skypilot_config({cloud: {name: armed}}):
        yield


def terminate_when_off(sky: Any, cluster: str) -> None:
    """Makes AWS terminate the cluster's instance at power-off, so that its disk is not billed.

    If that request fails, the instance still powers itself off.
    """
    with suppress(Exception):  # SkyPilot, AWS or the network may fail in any way
        [entry] = sky.get(sky.status([cluster], refresh=sky.StatusRefreshMode.NONE))
        if str(entry.cloud).lower() == AWS:
            end_with_shutdown(sky, entry.region, entry.labels)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
