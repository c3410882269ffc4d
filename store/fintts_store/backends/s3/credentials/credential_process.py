"""Runs the program of a profile that prints a key, with a time limit, and checks its output.

The output may contain a key, so it is never shown.
"""

import json
import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fintts_store.errors import StoreDenied
from fintts_store.output.redaction import fault_of_secret, remember_secrets

if TYPE_CHECKING:
    from boto3.session import Session

LIMIT_SECONDS = 60.0
"""long enough for a person to enter a code"""
NAMES = ("AccessKeyId", "SecretAccessKey")
TOKEN = "SessionToken"
TO_SEE = "run the credential_process of your AWS profile yourself to see what it prints"


def limit_processes(session: "Session") -> None:
    """Runs every credential_process of the session through `Process`, including those of source
    profiles."""
    from botocore.credentials import ProcessProvider

    # boto3 has no setting for it; a test with a program that never ends sees whether it works.
    core: Any = cast("Any", session)._session
    resolver: Any = core.get_component("credential_provider")

    def provider(profile_name: str) -> Any:
        return ProcessProvider(profile_name, lambda: core.full_config, popen=cast("Any", Process))

    for each in resolver.providers:
        if isinstance(each, ProcessProvider):
            cast("Any", each)._popen = Process
        builder: Any = getattr(each, "_profile_provider_builder", None)
        if builder is not None:
            builder._create_process_provider = provider


class Process:
    """Replaces `subprocess.Popen` for botocore."""

    returncode = 0

    def __init__(self, command: list[str], **_streams: int) -> None:
        self._command = command

    def communicate(self) -> tuple[bytes, bytes]:
        """The document with the key.

        Raises:
            StoreDenied: the program cannot be run, does not end, fails, or prints something else.
        """
        name = Path(self._command[0]).name if self._command else ""
        if not name:
            raise StoreDenied("credential_process of the AWS profile is empty", TO_SEE)
        what = f"credential_process ({name})"
        try:
            exit_code, printed = _run(self._command)
        except subprocess.TimeoutExpired:
            said = f"{what} did not answer within {LIMIT_SECONDS:.0f} s"
            raise StoreDenied(said, TO_SEE) from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise StoreDenied(f"{what} cannot be run: {why}", TO_SEE) from None
        if exit_code == -signal.SIGINT:
            raise KeyboardInterrupt
        if exit_code != 0:
            raise StoreDenied(f"{what} failed with exit code {exit_code}", TO_SEE)
        _check(what, printed)
        return printed, b""


def _run(command: list[str]) -> tuple[int, bytes]:
    """Exit code and standard output. A program that takes too long is killed with its whole process
    group."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
    ) as program:
        try:
            with _at_the_terminal(program.pid):
                printed, _ = program.communicate(timeout=LIMIT_SECONDS)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            raise
    return program.returncode, printed


@contextmanager
def _at_the_terminal(group: int) -> Generator[None]:
    """Lets the group read from the terminal, such as a code, during the block: a terminal stops
    processes outside the foreground group that try to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:  # there is none
        yield
        return
    try:
        if os.tcgetpgrp(terminal) != os.getpgrp():
            yield
            return
        _put_in_front(terminal, group)
        try:
            yield
        finally:
            _put_in_front(terminal, os.getpgrp())
    finally:
        os.close(terminal)


def _put_in_front(terminal: int, group: int) -> None:
    """Continues a group that was stopped because it read too early."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        os.tcsetpgrp(terminal, group)
        os.killpg(group, signal.SIGCONT)
    except (ProcessLookupError, PermissionError):  # it has ended already
        return
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _check(what: str, printed: bytes) -> None:
    try:
        document: object = json.loads(printed)
    except (ValueError, RecursionError):
        text = "nothing" if not printed.strip() else "something other than JSON"
        raise StoreDenied(f"{what} printed {text}", TO_SEE) from None
    if not isinstance(document, dict):
        raise StoreDenied(f"{what} did not print a JSON object", TO_SEE)
    found = cast("dict[str, object]", document)
    remember_secrets(*(str(value) for name, value in found.items() if name in (*NAMES, TOKEN)))
    missing = [name for name in NAMES if not isinstance(found.get(name), str)]
    if missing:
        raise StoreDenied(f"{what} printed no {' and no '.join(missing)}", TO_SEE)
    if found.get("Version") != 1:
        raise StoreDenied(f"{what} printed a Version other than 1", TO_SEE)
    given = {name: found[name] for name in (*NAMES, TOKEN) if found.get(name) is not None}
    for name, value in given.items():
        fault = fault_of_secret(value)
        if fault:
            raise StoreDenied(f"the {name} that {what} printed {fault}", TO_SEE)
