"""What a person types at a prompt, on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import signal
import sys
import termios
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fintts_cli.terminal.terminal import Terminal
from fintts_store.backends.directory import DirectoryStore
from fintts_store.runs.runs import create_run, write_status
from run_samples import record, status

LIMIT_SECONDS = 60


def answered(tmp_path: Path, answer: bytes) -> tuple[int, str]:
    """Runs a confirmation in a terminal of its own; its exit code and what the screen showed."""
    script = tmp_path / "ask.py"
    script.write_text(
        "import sys\n"
        "from fintts_cli.terminal.terminal import Terminal\n"
        "from fintts_store.output.streams import take_over\n"
        "take_over()\n"
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


def to_its_end(pid: int, screen: int) -> tuple[int, bytes]:
    """A process's exit code, and what its terminal still showed."""
    shown = b""
    try:
        while part := os.read(screen, 4096):
            shown += part
    except OSError:  # the other side has ended
        pass
    _, ended = os.waitpid(pid, 0)
    os.close(screen)
    return os.waitstatus_to_exitcode(ended), shown


def test_a_transfer_has_a_bar_on_a_terminal_and_none_elsewhere(
    capfd: pytest.CaptureFixture[str],
) -> None:
    script = (
        "from fintts_cli.terminal.terminal import Terminal\n"
        "with Terminal().transfer(4_000_000) as on_bytes:\n"
        "    on_bytes(3_000_000)\n"
    )
    pid, screen = pty.fork()
    if pid == 0:
        signal.alarm(LIMIT_SECONDS)
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, "-c", script])
    code, shown = to_its_end(pid, screen)
    assert code == 0, shown.decode()
    assert "3.0/4.0 MB" in shown.decode()
    with Terminal().transfer(4_000_000) as on_bytes:
        on_bytes(3_000_000)
    assert capfd.readouterr().err == ""


TROUBLE = "training waits because checkpoints are made faster than the store accepts them; spare it"
ON_ITS_SCREEN, BACK = b"\x1b[?1049h", b"\x1b[?1049l"


def watched(folder: Path, **environment: str) -> tuple[int, bytes]:
    """`watch` on a terminal of 24 lines and 60 columns, until the run was drawn and Ctrl-C."""
    store = DirectoryStore(folder / "store")
    create_run(store, record())
    now = datetime.now(UTC)
    write_status(store, status(started_at=now, updated_at=now, message=TROUBLE))
    pid, screen = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.alarm(LIMIT_SECONDS)
        os.environ.pop("COLUMNS", None)
        os.environ.update(environment)
        termios.tcsetwinsize(0, (24, 60))
        program = "from fintts_cli.__main__ import main; main()"
        watch = ("cloud", "watch", "--store", str(store.root))
        os.execv(sys.executable, [sys.executable, "-c", program, *watch])
    shown = b""
    while b"kalevala-1" not in shown:
        shown += os.read(screen, 4096)
    os.kill(pid, signal.SIGINT)
    code, rest = to_its_end(pid, screen)
    return code, shown + rest


def test_watch_takes_the_screen_and_gives_it_back_with_the_last_picture(own_folder: Path) -> None:
    """And Ctrl-C is not an error."""
    code, shown = watched(own_folder, TERM="xterm-256color")
    assert code == 0, shown.decode()
    assert shown.count(ON_ITS_SCREEN) == shown.count(BACK) == 1
    drawn, left = shown[shown.index(ON_ITS_SCREEN) :].split(BACK)
    for picture in (drawn, left):
        assert b"1,000/3,000" in picture
        assert b"checkpoints are made faster than the" in picture
    assert b"run kalevala-1 keeps running" in left


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(own_folder: Path) -> None:
    code, shown = watched(own_folder, TERM="dumb", NO_COLOR="1")
    assert code == 0, shown.decode()
    assert b"\x1b" not in shown
    assert TROUBLE.encode() in shown
