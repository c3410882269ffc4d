"""A command at a terminal of its own, and a person who answers its question."""

from __future__ import annotations

import os
import pty
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

LIMIT_SECONDS = 150


def at_a_terminal(
    command: Sequence[str],
    answer: bytes,
    *,
    after: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Runs the command to its end; types the answer once the screen shows the text `after`.

    Returns the exit code, and all that the screen showed.
    """
    pid, screen = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.alarm(LIMIT_SECONDS)
        if cwd is not None:
            os.chdir(cwd)
        os.execve(command[0], list(command), dict(environment or os.environ))
    shown, is_answered = b"", False
    while True:
        try:
            more = os.read(screen, 4096)
        except OSError:  # Linux says so when the other side has ended
            break
        if not more:
            break
        shown += more
        if not is_answered and after.encode() in shown:
            is_answered = True
            os.write(screen, answer)
    _, status = os.waitpid(pid, 0)
    os.close(screen)
    return os.waitstatus_to_exitcode(status), shown.decode()
