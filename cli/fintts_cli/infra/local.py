"""This machine as the place where a task runs: the same rendered task as in a cloud, detached."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError
from fintts_cli.infra import InstancePhase, InstanceState
from fintts_cli.infra.instance_file import (
    INSTANCE_FILE,
    LOG_FILE,
    TASK_FILE,
    InstanceFile,
    read_instance,
    write_instance,
)
from fintts_cli.infra.local_agent import clear
from fintts_cli.infra.processes import end_session, session_of
from fintts_store.durable import write_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCAL = "local"
ACCEPTED_WITHIN_SECONDS = 30.0
GONE_WITHIN_SECONDS = 30.0
POLL_SECONDS = 0.1


class LocalInfra:
    """Instances are folders: STATE/instances/RUN/{task.yaml, log.txt, instance.json, workdir/}."""

    def __init__(self, state_folder: Path) -> None:
        self._root = state_folder / "instances"

    @property
    def name(self) -> str:
        return LOCAL

    def launch(self, run: str, task_yaml: str) -> None:
        state = self.state(run)
        if state is not None and state.is_live:
            raise CloudError(
                f"run {run} has a live instance in {state.where}",
                f"`fintts cloud stop {run}` ends it, or choose another --name",
            )
        folder = self._root / run
        if state is not None:  # an earlier job of the run: its log stays, and goes on
            clear(folder)
            (folder / INSTANCE_FILE).unlink()
        write_file(folder / TASK_FILE, task_yaml.encode())
        with (folder / LOG_FILE).open("ab") as log:
            # It forks, and its parent ends at once: the instance is nobody's child.
            started = subprocess.run(
                [sys.executable, "-m", "fintts_cli.infra.local_agent", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                check=False,
            )
        self._await_acceptance(folder, accepted=started.returncode == 0)

    def state(self, run: str) -> InstanceState | None:
        instance = read_instance(self._root / run)
        if instance is None:
            return None
        if instance.phase != InstancePhase.GONE and not self._members(instance):
            instance = self._found_dead(instance)
        return InstanceState(
            run=run,
            phase=instance.phase,
            where=str(self._root / run),
            created_at=instance.created_at,
            ended_at=instance.ended_at,
            exit_code=instance.exit_code,
        )

    def instances(self) -> list[InstanceState]:
        folders = sorted(self._root.iterdir()) if self._root.is_dir() else []
        states = [state for folder in folders if (state := self.state(folder.name))]
        return sorted(states, key=lambda state: state.created_at)

    def logs(self, run: str, *, follow: bool) -> Iterator[str]:
        if self.state(run) is None:
            raise CloudError(f"there is no instance of run {run} on this machine")
        path = self._root / run / LOG_FILE
        path.touch()
        with path.open(encoding="utf-8", errors="replace") as log:
            while True:
                state = self.state(run)
                over = state is None or not state.is_live
                yield from log
                if over or not follow:
                    return
                time.sleep(POLL_SECONDS)

    def down(self, run: str) -> None:
        instance = read_instance(self._root / run)
        if instance is None or instance.phase == InstancePhase.GONE:
            return
        if not end_session(instance.agent_pid, instance.agent_started, GONE_WITHIN_SECONDS):
            raise CloudError(
                f"the instance of run {run} does not end: session {instance.agent_pid}",
                f"look at it with: ps -s {instance.agent_pid}",
            )
        self._found_dead(instance)

    def _members(self, instance: InstanceFile) -> bool:
        return bool(session_of(instance.agent_pid, instance.agent_started))

    def _found_dead(self, instance: InstanceFile) -> InstanceFile:
        """Nothing of it lives any more, and its agent could not say so: say it, and tidy up."""
        folder = self._root / instance.run
        latest = read_instance(folder) or instance
        if latest.phase != InstancePhase.GONE:
            fields = {"phase": InstancePhase.GONE, "ended_at": datetime.now(UTC)}
            latest = latest.model_copy(update=fields)
            write_instance(folder, latest)
        clear(folder)
        return latest

    def _await_acceptance(self, folder: Path, *, accepted: bool) -> None:
        """Returns when the agent has written its record: from then on it can be found again."""
        deadline = time.monotonic() + ACCEPTED_WITHIN_SECONDS
        while read_instance(folder) is None:
            if not accepted or time.monotonic() > deadline:
                text = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").strip()
                reason = text.splitlines()[-1] if text else "it said nothing"
                raise CloudError(
                    f"the local instance could not be started: {reason}", f"see {folder / LOG_FILE}"
                )
            time.sleep(POLL_SECONDS / 5)
