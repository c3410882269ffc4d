"""Requests the instance of a run from SkyPilot, with all that must be set around the request."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from fintts_cli.infra.sky.job import ManagedJob
from fintts_cli.infra.sky.keys import held_back_by_setting
from fintts_cli.infra.sky.launch_patience import launch_patiently
from fintts_cli.infra.sky.power_off import end_armed, terminate_when_off
from fintts_cli.infra.sky.removal import remove
from fintts_cli.infra.sky.session import clouds_of
from fintts_cli.state_folder import SKY_LOG

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fintts_cli.infra.sky.asked_task import AskedTask
    from fintts_cli.infra.sky.record import SkyRecord
    from fintts_cli.prices.source import OfferSource

WORKDIR = "workdir"
"""in an instance's folder: the workdir of a managed job, from which later instances get it, too"""


def request(
    sky: Any,
    record: SkyRecord,
    asked: AskedTask,
    secrets: Mapping[str, str],
    folder: Path,
    infra: str,
    offers: OfferSource,
) -> None:
    """Returns once the run no longer needs this process.

    Args:
        folder: the instance's on this machine.
        offers: the places to try if one gives no instance that becomes ready.
    """
    with ExitStack() as stack:
        task = sky.Task.from_yaml_str(asked.text)
        stack.enter_context(end_armed(sky, asked))
        stack.enter_context(held_back_by_setting(sky, clouds_of(sky, infra)))
        if secrets:
            task.update_secrets(dict(secrets))
        if record.job is None:
            _request_cluster(sky, record, task, asked, folder, offers)
        else:
            task.workdir = _kept_workdir(task.workdir, folder)
            ManagedJob().launch(sky, record, task)


def _request_cluster(
    sky: Any, record: SkyRecord, task: Any, asked: AskedTask, folder: Path, offers: OfferSource
) -> None:
    def take_back() -> None:
        remove(sky, record)

    def note(sentence: str) -> None:
        with (folder / SKY_LOG).open("a", encoding="utf-8") as log:
            log.write(f"fintts: {sentence}\n")

    limit = asked.patience_seconds
    launch_patiently(sky, task, record.cluster, limit, take_back, offers, note)
    terminate_when_off(sky, record.cluster)  # AWS terminates a spot instance by itself


def _kept_workdir(workdir: str, folder: Path) -> str:
    copy = folder / WORKDIR
    shutil.rmtree(copy, ignore_errors=True)
    return str(shutil.copytree(workdir, copy))
