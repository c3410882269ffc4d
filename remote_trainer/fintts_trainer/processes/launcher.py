"""Starts and ends the processes of one run on one machine together.

`accelerate launch` works too (a process only needs RANK and its like in the environment), but it
turns every exit code into 1 and gives a process 30 seconds to save. The exit code decides whether
a run goes on elsewhere, so this launcher keeps the codes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_inputs.environment import PARENT
from fintts_store.disk.durable import make_directories
from fintts_trainer.processes.group_exit import GroupExit, group_exit
from fintts_trainer.processes.hang_limits import START_SECONDS
from fintts_trainer.processes.layout import MASTER_PORT, ProcessLayout, free_port
from fintts_trainer.processes.progress import PROGRESS_FILE
from fintts_trainer.processes.watchdog import Hang, Watchdog
from fintts_trainer.session.exit_codes import (
    DONE,
    FAILED,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

POLL_SECONDS = 0.1
LEAVE_SECONDS = 30.0
"""how long the others have to end after the first process has succeeded: all work is done then"""
UNKILLABLE_SECONDS = 10.0
"""after that, a process that hangs in a driver, out of reach of signals, is left to the teardown"""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long the processes of a run may take, in seconds.

    Attributes:
        start: until a process reports what it does.
        explain: for the others to end by themselves after one has failed.
        hung_grace: for hung processes to save and end after SIGTERM.
    """

    start: float = START_SECONDS
    explain: float = 10.0
    hung_grace: float = 60.0


class ProcessGroup:
    """The processes on this machine, from their start to their end."""

    def __init__(
        self,
        layout: ProcessLayout,
        command: list[str],
        progress: Path | None = None,
        factor: float = 1.0,
        limits: TimeLimits = TimeLimits(),
    ) -> None:
        """`progress` is the folder in which each process writes what it does; without one, nothing
        watches for hangs. `factor` multiplies the hang limits."""
        self._layout, self._command, self._progress = layout, command, progress
        self._factor, self._limits = factor, limits
        self._watchdog: Watchdog | None = None
        self.hang: Hang | None = None
        """the hang that ended this group, if any"""
        self._processes: list[subprocess.Popen[bytes]] = []
        self._codes: dict[int, int] = {}
        """exit codes by local rank, of processes that ended by themselves"""
        self._signal: int | None = None

    def run(self) -> GroupExit:
        """Starts the processes, forwards signals, and waits until all have ended.

        Raises:
            KeyboardInterrupt: Ctrl-C came twice.
        """
        signals = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self._on_signal) for number in signals}
        try:
            self._start()
            self._wait(self._is_decided)
            if self.hang is not None:
                return self._end_hung(self.hang)
            is_well = not any(self._codes.values())
            self._wait(self._all_ended, LEAVE_SECONDS if is_well else self._limits.explain)
            return group_exit(self._layout, self._codes, self._signal)
        finally:
            self._kill_remaining()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self) -> None:
        between = self._layout.nodes > 1
        port = os.environ.get("MASTER_PORT", MASTER_PORT) if between else str(free_port())
        for local_rank in range(self._layout.processes):
            environment = self._layout.environment_of(local_rank, port)
            environment |= {PARENT: str(os.getpid()), **self._progress_environment(local_rank)}
            self._processes.append(subprocess.Popen(self._command, env=environment))
        self._watch()
        if self._signal is not None:  # the signal came while the processes were starting
            self._forward_signal()

    def _progress_environment(self, local_rank: int) -> dict[str, str]:
        """The environment variable of this process's progress file; removes an older file."""
        if self._progress is None:
            return {}
        make_directories(self._progress)
        path = self._progress / str(local_rank)
        path.unlink(missing_ok=True)
        return {PROGRESS_FILE: str(path)}

    def _watch(self) -> None:
        # Only on the first process's machine: the other machines wait for what they cannot see.
        if self._progress is not None and self._layout.has_first:
            paths = [self._progress / str(rank) for rank in range(self._layout.processes)]
            self._watchdog = Watchdog(paths, self._factor, start_seconds=self._limits.start)

    def _end_hung(self, hang: Hang) -> GroupExit:
        """Ends the processes as `timeout` does: SIGTERM, SIGCONT for a stopped process, then
        SIGKILL. SIGUSR1 makes each process log its traceback."""
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGCONT):
            for process in self._processes:
                process.send_signal(number)
        self._watchdog = None
        self._wait(self._all_ended, self._limits.hung_grace)
        if self._codes.get(0) == DONE:  # it was slow, and has reported how the run ended
            return GroupExit(DONE)
        return GroupExit(FAILED, str(hang))

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._signal == signal.SIGINT and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = number
        self._forward_signal()

    def _forward_signal(self) -> None:
        """Forwards Ctrl-C as SIGTERM: the terminal has sent SIGINT to every process already, and a
        second SIGINT would end it without a save."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)

    def _wait(self, until: Callable[[], bool], seconds: float = float("inf")) -> None:
        end = time.monotonic() + seconds
        while not until() and time.monotonic() < end:
            time.sleep(POLL_SECONDS)

    def _is_decided(self) -> bool:
        """Whether a process has failed or hangs, or the first one has ended."""
        is_over = self._all_ended()
        if not is_over and self._watchdog is not None:
            self.hang = self._watchdog.look()
            is_over = self.hang is not None
        return is_over or any(self._codes.values()) or (self._layout.has_first and 0 in self._codes)

    def _all_ended(self) -> bool:
        for local_rank, process in enumerate(self._processes):
            code = process.poll()
            if code is not None:
                self._codes[local_rank] = code
        return len(self._codes) == len(self._processes)

    def _kill_remaining(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()  # it waits for the others, and would never handle a SIGTERM
            with suppress(subprocess.TimeoutExpired):
                process.wait(UNKILLABLE_SECONDS)


def trainer_command() -> list[str]:
    """The command line of one process of the run."""
    return [sys.executable, "-P", "-m", "fintts_trainer", "work"]
