"""The local instance: sets up the rendered task, runs it, and tears itself down.

`python -m fintts_cli.infra.local.agent FOLDER GRACE LOCK` returns at once and continues in its own
session, so that it survives the terminal. It follows only the task: workdir, envs, setup, run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from fintts_cli.infra import InstancePhase
from fintts_cli.infra.environment import for_a_run_here
from fintts_cli.infra.local.processes import become_leader, end_others, read_process
from fintts_cli.infra.local.record import (
    LOG_FILE,
    STAYS,
    TASK_FILE,
    InstanceFile,
    write_instance,
)
from fintts_cli.infra.this_machine import this_origin

if TYPE_CHECKING:
    from types import FrameType

SECRETS = "FINTTS_INSTANCE_SECRETS"
"""the variable that passes a launch's secrets, as JSON: they appear in no file and no argument"""
KILLED_WITHIN_SECONDS = 30.0


class Agent:
    """Runs one task in one folder; a preempted job has `grace_seconds` to save."""

    def __init__(self, folder: Path, grace_seconds: float) -> None:
        me = read_process(os.getpid())
        self._folder = folder
        self._grace_seconds = grace_seconds
        self._task = yaml.safe_load((folder / TASK_FILE).read_text(encoding="utf-8"))
        self._secrets: dict[str, str] = json.loads(os.environ.get(SECRETS, "{}"))
        self._child: subprocess.Popen[bytes] | None = None
        self._terminated = False
        self._instance = InstanceFile(
            run=folder.name,
            agent_pid=os.getpid(),
            agent_started=me.started if me else 0,
            **this_origin()._asdict(),
            phase=InstancePhase.PROVISIONING,
            created_at=datetime.now(UTC),
        )

    def work(self, lock: int) -> int:
        """Runs the instance from start to end; returns the job's exit code.

        `lock` is the launch's lock: its next holder finds the instance on record.
        """
        signal.signal(signal.SIGTERM, self._notice)
        signal.signal(signal.SIGALRM, self._lose_patience)
        self._tell(phase=InstancePhase.PROVISIONING)
        os.close(lock)
        workdir = self._folder / "workdir"
        shutil.copytree(self._task["workdir"], workdir)
        self._tell(phase=InstancePhase.SETUP)
        code = self._execute(self._task["setup"], workdir)
        if code == 0 and not self._terminated:
            self._tell(phase=InstancePhase.RUNNING)
            code = self._execute(self._task["run"], workdir)
        self._tell(phase=InstancePhase.TEARING_DOWN, exit_code=code)
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._end_the_rest()
        clear(self._folder)
        self._tell(phase=InstancePhase.GONE, ended_at=datetime.now(UTC))
        return code

    def _execute(self, script: str, workdir: Path) -> int:
        with (self._folder / LOG_FILE).open("ab") as log:
            self._child = subprocess.Popen(
                ["/bin/bash", "-c", script],
                cwd=workdir,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            if self._terminated:
                # The preemption notice came while the child was being created.
                self._child.send_signal(signal.SIGTERM)
            code = self._child.wait()
            return code if code >= 0 else 128 - code

    def _environment(self) -> dict[str, str]:
        envs = {str(key): str(value) for key, value in self._task["envs"].items()}
        return for_a_run_here(os.environ) | envs | self._secrets

    def _notice(self, _number: int, _frame: FrameType | None) -> None:
        """Handles a preemption: signals the job, and kills it after its grace period."""
        self._terminated = True
        signal.setitimer(signal.ITIMER_REAL, self._grace_seconds)
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)

    def _lose_patience(self, _number: int, _frame: FrameType | None) -> None:
        self._end_the_rest()

    def _end_the_rest(self) -> None:
        """Ends what the job started, as the end of a rented instance would."""
        mine = self._instance
        leader, started = mine.agent_pid, mine.agent_started
        end_others(leader, started, KILLED_WITHIN_SECONDS)

    def _tell(self, **fields: object) -> None:
        self._instance = self._instance.model_copy(update=fields)
        write_instance(self._folder, self._instance)


def agent_command(folder: Path) -> list[str]:
    """An agent's arguments after the interpreter; they also identify its process."""
    return ["-m", "fintts_cli.infra.local.agent", str(folder)]


def clear(folder: Path) -> None:
    """Removes the instance's files except its record, its task and its log."""
    for path in folder.iterdir():
        if path.name in STAYS:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def main(folder: Path, grace_seconds: float, lock: int) -> int:
    """Starts the agent as the leader of a new session."""
    if os.fork() > 0:
        return 0
    become_leader()
    return Agent(folder, grace_seconds).work(lock)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
