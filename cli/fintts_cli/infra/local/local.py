"""This machine as an infra: runs the same rendered task as a cloud, detached."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from fintts_cli.errors import CloudError
from fintts_cli.infra import (
    NO_SECRETS,
    Census,
    Holder,
    InstancePhase,
    InstanceState,
    Removed,
    Sighting,
)
from fintts_cli.infra.local.agent import SECRETS, agent_command, clear
from fintts_cli.infra.local.processes import boot_id, end_all, find_process, members_of
from fintts_cli.infra.local.record import (
    INSTANCE_FILE,
    LOG_FILE,
    TASK_FILE,
    InstanceFile,
    read_instance,
    write_instance,
)
from fintts_cli.infra.this_machine import fate_here
from fintts_cli.places import LOCAL
from fintts_store.disk.durable import make_directories, write_file
from fintts_store.disk.reading import read_end
from fintts_store.errors import InvalidRecord, StoreError
from fintts_store.layout import check_run_name
from fintts_store.runs.limits import LOG_BYTES
from fintts_store.runs.noted_process import Fate

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path
    from typing import TextIO

ACCEPTED_WITHIN_SECONDS = 30.0
GONE_WITHIN_SECONDS = 30.0
GRACE_SECONDS = 150.0
"""A trainer has 120 s to save; the run script needs some time to report."""
POLL_SECONDS = 0.1


def _is_copying(instance: InstanceFile) -> bool:
    return instance.phase == InstancePhase.PROVISIONING


def _damage(folder: Path) -> tuple[str, ...]:
    """The files of the instance that cannot be read."""
    try:
        read_instance(folder)
    except InvalidRecord as error:
        return (error.message,)
    return ()


def _fate_of(instance: InstanceFile) -> Fate:
    """An instance's fate: it lives as long as any process that its agent started."""
    leader, started = instance.agent_pid, instance.agent_started
    return fate_here(instance.agent, lambda _agent: bool(members_of(leader, started)))


LONGEST_LINE = 64 * 1024
"""in characters; a longer line is split into several"""


def _whole_lines(log: TextIO, *, to_the_end: bool) -> Iterator[str]:
    """The complete lines so far; one still being written waits for its end."""
    while True:
        start = log.tell()
        line = log.readline(LONGEST_LINE)
        is_whole = line.endswith("\n") or len(line) == LONGEST_LINE
        if not line or not (is_whole or to_the_end):
            log.seek(start)
            return
        yield line


class LocalInfra:
    """Instances are folders: STATE/instances/RUN/{task.yaml, log.txt, instance.json, workdir/}."""

    def __init__(self, state_folder: Path, grace_seconds: float = GRACE_SECONDS) -> None:
        self._root = state_folder / "instances"
        self._grace_seconds = grace_seconds

    @property
    def name(self) -> str:
        return LOCAL

    def check(self, task_yaml: str) -> None:
        """Does nothing: this machine is always available."""

    def launch(self, run: str, task_yaml: str, secrets: Mapping[str, str] = NO_SECRETS) -> None:
        begun = False
        try:
            with self._lock() as lock:
                self._refuse_live(run)
                begun = True
                self._launch(run, task_yaml, secrets, lock)
        except BaseException:
            # Take the lock again: an agent that was just starting is on record by then.
            if begun:
                self.down(run)
            raise

    def _refuse_live(self, run: str) -> None:
        state = self.state(run)
        if state is not None and state.is_live:
            raise CloudError(
                f"run {run} has a live instance in {state.where}",
                f"`fintts cloud stop {run}` ends it, or choose another --name",
            )

    def _launch(self, run: str, task_yaml: str, secrets: Mapping[str, str], lock: int) -> None:
        folder = self._folder(run)
        if (folder / INSTANCE_FILE).exists():  # an earlier job's: its log is continued
            clear(folder)
            (folder / INSTANCE_FILE).unlink()
        write_file(folder / TASK_FILE, task_yaml.encode())
        with (folder / LOG_FILE).open("ab") as log:
            # It forks and its parent exits at once, so the instance has no parent here.
            started = subprocess.run(
                [sys.executable, "-P", *agent_command(folder), str(self._grace_seconds), str(lock)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**os.environ, SECRETS: json.dumps(dict(secrets))},
                pass_fds=(lock,),
                check=False,
            )
        self._await_acceptance(folder, accepted=started.returncode == 0)

    def state(self, run: str) -> InstanceState | None:
        instance = self._read(self._folder(run))
        if instance is None:
            return None
        if instance.phase != InstancePhase.GONE and _fate_of(instance) == Fate.ENDED:
            instance = self._found_dead(instance)
        return InstanceState(
            run=run,
            phase=instance.phase,
            where=str(self._folder(run)),
            created_at=instance.created_at,
            ended_at=instance.ended_at,
            exit_code=instance.exit_code,
        )

    def instances(self) -> list[InstanceState]:
        folders = sorted(self._root.iterdir()) if self._root.is_dir() else []
        ours = [folder.name for folder in folders if (folder / INSTANCE_FILE).is_file()]
        states = [state for run in ours if (state := self.state(run))]
        return sorted(states, key=lambda state: state.created_at)

    def logs(self, run: str, *, follow: bool) -> Iterator[str]:
        if self.state(run) is None:
            raise CloudError(f"there is no instance of run {run} on this machine")
        path = self._folder(run) / LOG_FILE
        path.touch()
        with path.open(encoding="utf-8", errors="replace") as log:
            left_out_bytes = path.stat().st_size - LOG_BYTES
            if left_out_bytes > 0:
                log.seek(left_out_bytes)
                yield f"[the first {left_out_bytes:,} bytes of {path} are left out]\n"
            while True:
                state = self.state(run)
                over = state is None or not state.is_live
                yield from _whole_lines(log, to_the_end=over or not follow)
                if over or not follow:
                    return
                time.sleep(POLL_SECONDS)

    def down(self, run: str, *, by_name: bool = False) -> Removed:
        folder = self._folder(run)
        if not self._root.is_dir():
            return Removed(was_there=False)
        with self._lock():
            damage = _damage(folder)
            was_there = self._take_down(run, self._read(folder))
        return Removed(was_there, damage)

    def census(self) -> Census:
        return Census(
            tuple(
                Sighting(
                    run=state.run,
                    holder=Holder.FOLDER,
                    where=state.where,
                    infra=LOCAL,
                    created_at=state.created_at,
                    instance_since=state.created_at,
                )
                for state in self.instances()
                if state.is_live
            )
        )

    def remove(self, sighting: Sighting) -> None:
        self.down(sighting.run)

    def _take_down(self, run: str, instance: InstanceFile | None) -> bool:
        """Takes the instance down; returns whether there was one."""
        if instance is None or instance.phase == InstancePhase.GONE:
            return False
        fate = _fate_of(instance)
        if fate == Fate.UNKNOWN:
            self._refuse_unknown(instance)
        if fate == Fate.LIVES and not end_all(
            instance.agent_pid, instance.agent_started, GONE_WITHIN_SECONDS
        ):
            raise CloudError(
                f"the instance of run {run} does not end: process {instance.agent_pid}",
                f"inspect it with: ps -f --pid {instance.agent_pid} --ppid {instance.agent_pid}",
            )
        self._found_dead(instance)
        return True

    def _read(self, folder: Path) -> InstanceFile | None:
        """The instance's own record; if that is damaged, what the machine knows about it.

        A damaged file must neither hide a live instance nor block its teardown.
        """
        try:
            return read_instance(folder)
        except InvalidRecord:
            agent = find_process(agent_command(folder))
            began = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
            return InstanceFile(
                run=folder.name,
                agent_pid=agent.pid if agent else 0,
                agent_started=agent.started if agent else 0,
                boot_id=boot_id() if agent else "",
                phase=InstancePhase.RUNNING,
                created_at=began,
            )

    def _refuse_unknown(self, instance: InstanceFile) -> NoReturn:
        """Raises CloudError: the instance may be alive, but its processes cannot be reached from
        here."""
        run, folder = instance.run, self._folder(instance.run)
        where = f"{instance.host} started it" if instance.host else "its record names no machine"
        raise CloudError(
            f"this machine cannot tell whether the instance of run {run} is running: {where}",
            f"`fintts cloud down {run}` there ends it, and `fintts cloud stop {run}` stops it "
            f"from here; if it is no longer running, remove {folder}",
        )

    def _folder(self, run: str) -> Path:
        return self._root / check_run_name(run)

    @contextmanager
    def _lock(self) -> Generator[int]:
        """Allows one launch or teardown at a time. A killed launch releases the lock once its agent
        is on record."""
        make_directories(self._root)
        descriptor = os.open(self._root, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _found_dead(self, instance: InstanceFile) -> InstanceFile:
        """Cleans up after an instance whose processes are gone and whose agent could not report it,
        and records the end.

        On a full disk it still cleans up and returns the end, even if the end cannot be written.
        """
        folder = self._root / instance.run
        clear(folder)
        latest = self._read(folder) or instance
        if latest.phase == InstancePhase.GONE:
            return latest
        fields = {"phase": InstancePhase.GONE, "ended_at": datetime.now(UTC)}
        latest = latest.model_copy(update=fields)
        with suppress(StoreError):
            write_instance(folder, latest)
        return latest

    def _await_acceptance(self, folder: Path, *, accepted: bool) -> None:
        """Returns once the agent is on record, so that it can be found again, and has its copy of
        the workdir, which the caller may then remove."""
        deadline = time.monotonic() + ACCEPTED_WITHIN_SECONDS
        while (instance := read_instance(folder)) is None or _is_copying(instance):
            has_died = instance is not None and _fate_of(instance) == Fate.ENDED
            if not accepted or has_died or time.monotonic() > deadline:
                text = read_end(folder / LOG_FILE, LOG_BYTES).decode(errors="replace").strip()
                reason = text.splitlines()[-1] if text else "it printed nothing"
                raise CloudError(
                    f"the local instance could not be started: {reason}", f"see {folder / LOG_FILE}"
                )
            time.sleep(POLL_SECONDS / 5)
