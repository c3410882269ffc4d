"""A tracker for Accelerate's `log_with` that can neither delay nor end the run.

The tracker's library works in a process of its own. Whatever goes wrong there (no network, a wrong
key, a server that hangs) is logged once, and ends the tracking alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from accelerate.tracking import GeneralTracker

from fintts_inputs.trackers import VARIABLES, Tracker
from fintts_trainer.session.background import BackgroundWorker
from fintts_trainer.tracking.packages import has_library, install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Row = Mapping[str, object]

MOST_WAITING = 10_000
"""rows that wait while the library is installed or its server is slow; later ones are dropped"""
END_SECONDS = 15.0
"""how long the end of a run waits for its last rows"""
KILL_SECONDS = 1.0
INSTALL_SECONDS = 600.0
LONGEST_SENTENCE = 300
REPORTER = Path(__file__).parent / "reporter.py"
PASSED_ON = {
    *("PATH", "HOME", "USER", "LANG", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "HF_HOME", "TRACKIO_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
}
"""of this process's environment; the key to the store is not among them"""
OF_INSTALLERS = ("UV_", "PIP_")
"""how the names of an installer's own settings start"""


class NoTracking(Exception):
    """Why nothing more is tracked: the rest of a sentence."""


@dataclass(frozen=True)
class TrackedRun:
    """How a tracker shows the run."""

    name: str
    store_url: str
    config: Mapping[str, object]
    folder: Path
    """for the library and its files"""

    def described(self, folder: Path) -> dict[str, object]:
        """The first line that the tracker's process reads. The id tells runs of one name in
        different stores apart, and is the same for every instance of a run."""
        place = hashlib.sha256(self.store_url.encode()).hexdigest()[:8]
        return {
            "project": "fintts",
            "name": self.name,
            "id": f"{self.name}-{place}",
            "config": dict(self.config),
            "folder": str(folder),
        }


class ProcessTracker(GeneralTracker):  # type: ignore[misc]  # accelerate ships no types
    """One library in a process of its own.

    Args:
        python: the interpreter that has the library; None finds or makes one.
    """

    requires_logging_directory = False

    def __init__(
        self, kind: Tracker, run: TrackedRun, log: Callable[[str], None], python: Path | None = None
    ) -> None:
        self.name = str(kind)
        self.patience_seconds = END_SECONDS
        """how long `finish` may take"""
        self._kind, self._run, self._log, self._python = kind, run, log, python
        self._folder = run.folder / str(kind)
        self._process: subprocess.Popen[str] | None = None
        self._has_warned = self._is_reported = self._is_over = False
        self._worker: BackgroundWorker[Row] = BackgroundWorker(self.name, MOST_WAITING, self._work)
        super().__init__()

    @property
    def tracker(self) -> ProcessTracker:
        """The object itself: the library's own run is in another process."""
        return self

    def start(self) -> None:
        """Starts the thread that starts the process; returns at once."""
        self._worker.start()

    def log(self, values: Mapping[str, float], step: int | None = None, **_more: Any) -> None:
        """Queues a row and returns at once."""
        row = {"step": step, "values": dict(values)}
        if self._worker.is_alive and not self._worker.put(row):
            self._report("is too slow")

    def finish(self) -> None:
        """Waits until everything is sent, no longer than `patience_seconds`; the rest is lost."""
        end = time.monotonic() + self.patience_seconds
        if not self._worker.ask_to_end():
            self._report("is too slow")
        if not self._worker.join(end - time.monotonic()):
            self._report(f"did not take everything within {self.patience_seconds:.0f} s")
        self._is_over = True
        self._kill()
        self._worker.join(KILL_SECONDS)
        shutil.rmtree(self._folder / "python", ignore_errors=True)

    def _work(self, rows: Iterator[Row]) -> None:
        try:
            self._track(rows)
        except NoTracking as error:
            self._report(str(error))
        except OSError as error:
            self._report(f"cannot be started: {error.strerror or error}")

    def _track(self, rows: Iterator[Row]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        process = self._started([str(self._interpreter()), "-P", str(REPORTER), self.name])
        assert process.stdin is not None
        assert process.stdout is not None
        hearing = threading.Thread(target=self._hear, args=[process.stdout], daemon=True)
        hearing.start()
        try:
            self._pass_on(process.stdin, rows)
        except (BrokenPipeError, ValueError):
            hearing.join()  # the process may have said why
            raise NoTracking("has ended") from None
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()
            hearing.join()
            process.stdout.close()
            process.wait()

    def _pass_on(self, stdin: IO[str], rows: Iterator[Row]) -> None:
        """Writes the run and its rows, until there are no more."""
        for row in chain([self._run.described(self._folder)], rows):
            stdin.write(json.dumps(row) + "\n")
            stdin.flush()

    def _interpreter(self) -> Path:
        if self._python is not None:
            return self._python
        if has_library(self._kind):
            return Path(sys.executable)
        return install(self._kind, self._folder / "python", self._do)

    def _do(self, command: Sequence[str]) -> None:
        """Runs one command of the installation."""
        process = self._started(command, _of_installer(os.environ))
        try:
            _said, complaint = process.communicate(timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            raise NoTracking(f"is not installed after {INSTALL_SECONDS:.0f} s") from None
        if process.returncode:
            lines = complaint.strip().splitlines() or ["no reason is given"]
            raise NoTracking(f"cannot be installed: {lines[-1].strip()}")

    def _started(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """A process in a group of its own, so that no signal to the trainer ends it early."""
        if self._is_over:
            raise NoTracking("came too late")
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if environment is not None else subprocess.DEVNULL,
            env=dict(self._environment() if environment is None else environment),
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        return self._process

    def _environment(self) -> dict[str, str]:
        names = {*PASSED_ON, *VARIABLES[self._kind]}
        return {name: value for name, value in os.environ.items() if name in names}

    def _hear(self, stdout: IO[str]) -> None:
        """Logs where the run can be seen, the first warning and the first trouble."""
        for line in stdout:
            answer = json.loads(line)
            if answer.get("url"):
                self._log(f"{self.name} shows this run at {answer['url'][:LONGEST_SENTENCE]}")
            if answer.get("warning") and not self._has_warned:
                self._has_warned = True
                self._log(f"{self.name} warns: {_one_line(answer['warning'])}")
            if answer.get("trouble"):
                self._report(f"says: {answer['trouble']}")

    def _report(self, sentence: str) -> None:
        if not self._is_reported:
            self._is_reported = True
            self._log(
                f"{self.name} loses rows of this run, which trains on: it {_one_line(sentence)}"
            )

    def _kill(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _of_installer(environment: Mapping[str, str]) -> dict[str, str]:
    """What an installer may know: neither the key to the store nor that of a tracker."""
    return {
        name: value
        for name, value in environment.items()
        if name in PASSED_ON or name.startswith(OF_INSTALLERS)
    }


def _one_line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_SENTENCE]
