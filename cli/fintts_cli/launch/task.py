"""The task of a launch: the text that SkyPilot or this machine executes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fintts_cli.infra.labels import labels_of
from fintts_cli.infra.sky.ending.ending import AUTODOWN, ending_of
from fintts_cli.infra.sky.launch.asked_task import PATIENCE
from fintts_cli.wording import iso_second
from fintts_cost.estimate.extras import disk_gb
from fintts_inputs.hang_factor import FACTOR
from fintts_inputs.trackers import named
from fintts_templates import Rental, TaskValues, render

if TYPE_CHECKING:
    from fintts_cli.launch.launch import Launch
    from fintts_cost.plan.candidate import Candidate


SPOT_IDLE_MINUTES = 12
"""A spot instance that ended itself sooner would seem to be preempted: SkyPilot's controller
removes it after the job, within eleven minutes."""


def render_task(launch: Launch) -> str:
    """The task's text. It holds no secret: the user sees it, and it is stored next to the
    instance."""
    is_local = launch.settings.is_local
    envs = {
        "FINTTS_STORE": launch.store.url,
        "FINTTS_RUN": launch.run,
        "FINTTS_LAUNCH": str(launch.so_far.number),
        "FINTTS_DEADLINE_AT": iso_second(launch.deadline_at),
    }
    envs |= {FACTOR: f"{launch.hang_factor:g}"} if launch.hang_factor != 1 else {}
    envs |= named(launch.settings.trackers)
    if is_local:
        envs["FINTTS_PYTHON"] = sys.executable
    else:
        envs["FINTTS_ASKED_AT"] = iso_second(launch.asked_at)
        envs["FINTTS_OVER_AT"] = iso_second(launch.over_at)
        envs[PATIENCE] = f"{launch.settings.launch_patience_seconds:g}"
        envs |= {"FINTTS_ON_SPOT": "1"} if launch.settings.spot else {}
    ending = AUTODOWN if is_local else ending_of(launch.settings.infra)
    is_spot_pod = launch.settings.spot and ending.arming is not None
    return render(
        TaskValues(
            run=launch.run,
            workdir=str(launch.bundle),
            envs=envs,
            infra=None if is_local else launch.settings.infra,
            rentals=() if is_local else tuple(_rental(each) for each in launch.plan.choices),
            image=None if is_local else launch.settings.image,
            disk_gb=None if is_local or launch.settings.image else disk_gb(launch.plan.estimate),
            use_spot=launch.settings.spot,
            idle_minutes=SPOT_IDLE_MINUTES if is_spot_pod else 1,
            arming=ending.arming,
            files=ending.files,
            labels=labels_of(launch.run, launch.deadline_at),
        )
    )


def _rental(choice: Candidate) -> Rental:
    return Rental(choice.gpus, choice.hourly_rate_usd)
