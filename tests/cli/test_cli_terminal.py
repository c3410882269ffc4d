"""What a person types at a prompt, on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import signal
import sys
import time
from pathlib import Path

import pytest

from fintts_cli.terminal import Terminal

LIMIT_SECONDS = 60


def answered(tmp_path: Path, answer: bytes) -> tuple[int, str]:
    """Runs a confirmation in a terminal of its own; its exit code and what the screen showed."""
    script = tmp_path / "ask.py"
    script.write_text(
        "import sys\n"
        "from fintts_cli.terminal import Terminal\n"
        "try:\n"
        "    sys.exit(0 if Terminal().confirm('Launch it?') else 1)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    pid, screen = pty.fork()
    if pid == 0:
        # A background job's children inherit an ignored SIGINT; a person's terminal has none.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.alarm(LIMIT_SECONDS)
        os.execv(sys.executable, [sys.executable, str(script)])
    shown = b""
    while b"?" not in shown:
        shown += os.read(screen, 4096)
    ended, status = 0, 0
    while not ended:
        # Now and then a Ctrl-C falls into the moment in which the prompt sets its terminal up, and
        # is lost: a person presses it again.
        os.write(screen, answer)
        for _ in range(50):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                break
            time.sleep(0.1)
    os.close(screen)
    return os.waitstatus_to_exitcode(status), shown.decode()


@pytest.mark.parametrize(
    ("answer", "code"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1), (b"\x03", 130), (b"\x04", 130)]
)
def test_answers(tmp_path: Path, answer: bytes, code: int) -> None:
    found, shown = answered(tmp_path, answer)
    assert found == code
    assert "Launch it? [y/N]" in shown


def test_a_transfer_has_a_bar_on_a_terminal_and_none_elsewhere(
    capfd: pytest.CaptureFixture[str],
) -> None:
    script = (
        "from fintts_cli.terminal import Terminal\n"
        "with Terminal().transfer(4_000_000) as on_bytes:\n"
        "    on_bytes(3_000_000)\n"
    )
    pid, screen = pty.fork()
    if pid == 0:
        signal.alarm(LIMIT_SECONDS)
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, "-c", script])
    shown = b""
    try:
        while part := os.read(screen, 4096):
            shown += part
    except OSError:  # the other side has ended
        pass
    _, status = os.waitpid(pid, 0)
    os.close(screen)
    assert os.waitstatus_to_exitcode(status) == 0, shown.decode()
    assert "3.0/4.0 MB" in shown.decode()
    with Terminal().transfer(4_000_000) as on_bytes:
        on_bytes(3_000_000)
    assert capfd.readouterr().err == ""
