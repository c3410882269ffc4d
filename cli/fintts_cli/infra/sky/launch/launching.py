"""The task of a launch as SkyPilot takes it, with all that must be set around the request."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from fintts_cli.infra.sky.ending.power_off import end_armed
from fintts_cli.infra.sky.rentals.record import WORKDIR
from fintts_cli.infra.sky.server.keys import held_back_by_setting
from fintts_cli.infra.sky.server.queries import clouds_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from fintts_cli.infra.sky.launch.asked_task import AskedTask


@contextmanager
def ready_to_launch(
    sky: Any, asked: AskedTask, secrets: Mapping[str, str], folder: Path, infra: str
) -> Generator[Any]:
    """SkyPilot's task, which is to be requested within this context.

    Args:
        folder: the instance's on this machine.
    """
    with ExitStack() as stack:
        task = sky.Task.from_yaml_str(asked.text)
        stack.enter_context(end_armed(sky, asked))
        stack.enter_context(held_back_by_setting(sky, clouds_of(sky, infra)))
        if secrets:
            task.update_secrets(dict(secrets))
        if asked.is_spot:
            task.workdir = kept_workdir(task.workdir, folder)
        yield task


def kept_workdir(workdir: str, folder: Path) -> str:
    """A copy of the workdir in the instance's folder, for the instances of a managed job."""
    copy = folder / WORKDIR
    shutil.rmtree(copy, ignore_errors=True)
    return str(shutil.copytree(workdir, copy))
