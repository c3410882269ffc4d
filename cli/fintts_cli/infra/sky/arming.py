"""Arms the end of an instance before anything else happens on it: on AWS alone, in its user data.

SkyPilot sets its autodown when it has provisioned and copied its files. A laptop that is shut
within that half minute leaves an instance that nothing would end. cloud-init runs this with the
first boot: the machine powers itself off when all should be over, whatever becomes of SkyPilot,
trainer and laptop. AWS bills the disk alone then, until somebody removes the instance; where the
launch came through, AWS is told to terminate it instead.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import yaml

from fintts_cli.infra.sky.aws import AWS, end_with_shutdown

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

USER_DATA = (AWS, "post_provision_runcmd")
"""SkyPilot's setting for what cloud-init runs; of its other clouds none has it"""
OVER_AT, DEADLINE_AT = "FINTTS_OVER_AT", "FINTTS_DEADLINE_AT"
LONGEST_RESERVE = timedelta(minutes=15)
"""after the deadline, where the task does not say when all is over"""
LEAST_SPOT_MINUTES = 15
"""One that comes in place of another after that moment has time to say so: SkyPilot would take one
that is off too soon for lost, and rent again."""


def over_at(envs: Mapping[str, object]) -> datetime | None:
    """When nothing of a task may be billed any more; None where it has no deadline."""
    if OVER_AT in envs:
        return _moment(str(envs[OVER_AT]))
    if DEADLINE_AT in envs:
        return _moment(str(envs[DEADLINE_AT])) + LONGEST_RESERVE
    return None


def power_off_command(moment: datetime, now: datetime, least_minutes: int) -> str:
    """For /bin/sh as root. It stands unquoted in YAML, so it has neither ": " nor " #".

    The machine boots after `now`: one whose clock is behind gets no more minutes than are left now.
    """
    minutes = f"$(( ({int(moment.timestamp())} - $(date +%s)) / 60 ))"
    most = f"[ $left -lt {_whole_minutes(moment - now)} ] || left={_whole_minutes(moment - now)}"
    least = f"[ $left -gt {least_minutes} ] || left={least_minutes}"
    return f"left={minutes}; {most}; {least}; shutdown -P +$left"


def _whole_minutes(time: timedelta) -> int:
    return int(time / timedelta(minutes=1))


@contextmanager
def end_armed(sky: Any, task_yaml: str) -> Generator[None]:
    """Within it, each instance that is asked for on AWS powers itself off when all is over."""
    task: dict[str, Any] = yaml.safe_load(task_yaml)
    moment = over_at(task.get("envs") or {})
    if moment is None:
        yield
        return
    least = LEAST_SPOT_MINUTES if task["resources"]["use_spot"] else 1
    settings = sky.skypilot_config
    theirs: list[object] = settings.get_nested(USER_DATA, None) or []
    cloud, name = USER_DATA
    armed = [*theirs, power_off_command(moment, datetime.now(UTC), least)]
    with settings.override_skypilot_config({cloud: {name: armed}}):
        yield


def terminate_when_off(sky: Any, cluster: str) -> None:
    """Powered off, the cluster's instance is to be terminated, so that its disk isn't billed.

    What keeps AWS from hearing of it leaves the instance armed all the same.
    """
    with suppress(Exception):  # of any kind: SkyPilot's, AWS's, the network's
        [entry] = sky.get(sky.status([cluster], refresh=sky.StatusRefreshMode.NONE))
        if str(entry.cloud).lower() == AWS:
            end_with_shutdown(sky, entry.region, entry.labels)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
