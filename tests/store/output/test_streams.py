"""What is written into a standard stream reaches its reader, or fails nobody."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fintts_store.output.streams import Outlet, trouble_of


def written(tmp_path: Path, encoding: str, text: str) -> bytes:
    path = tmp_path / "out"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        Outlet(descriptor, encoding).write(text)
    finally:
        os.close(descriptor)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "1 – 250 → ä ▁▄█ 日 × 2".encode()),
        ("iso-8859-1", "1 - 250 -> ä _=# ? × 2".encode("latin-1")),
        ("ascii", b"1 - 250 -> ? _=# ? x 2"),
    ],
)
def test_a_character_that_the_stream_does_not_have_is_spelt(
    tmp_path: Path, encoding: str, shown: bytes
) -> None:
    assert written(tmp_path, encoding, "1 – 250 → ä ▁▄█ 日 × 2") == shown


@given(st.text(), st.sampled_from(["ascii", "latin-1", "cp1252", "utf-8", "shift_jis", "cp037"]))
def test_any_text_can_be_written_in_any_encoding(text: str, encoding: str) -> None:
    with Path(os.devnull).open("wb") as nowhere:
        outlet = Outlet(nowhere.fileno(), encoding)
        assert outlet.write(text) == len(text)
        assert outlet.trouble is None


def test_a_reader_that_has_left_is_remembered_and_fails_nobody() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    outlet = Outlet(writing, "utf-8")
    outlet.write("a")
    outlet.write("b")
    os.close(writing)
    trouble = trouble_of(outlet)
    assert trouble is not None
    assert trouble.errno == errno.EPIPE


def test_a_slow_reader_gets_all_also_where_the_descriptor_does_not_block() -> None:
    """As a terminal is that another program, such as ssh, has set so."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    text = "ä" * 300_000
    got: list[bytes] = []

    def read() -> None:
        while part := os.read(reading, 65_536):
            got.append(part)

    reader = threading.Thread(target=read)
    outlet = Outlet(writing, "utf-8")
    reader.start()
    outlet.write(text)
    os.close(writing)
    reader.join()
    os.close(reading)
    assert b"".join(got).decode() == text
    assert outlet.trouble is None


SPOKEN = (
    "import sys\n"
    "from fintts_store.output.streams import take_over, trouble_of\n"
    "take_over()\n"
    "file = open(sys.argv[1], 'w')\n"
    "print('out'); print('err', file=sys.stderr)\n"
    "assert file.fileno() > 2\n"
    "assert sys.stdin.read() == ''\n"
    "assert not sys.stdin.isatty()\n"
    "import subprocess; subprocess.run([sys.executable, '-c', 'print(7)'], check=True)\n"
    "sys.exit(9 if trouble_of(sys.stdout) else 0)\n"
)


@pytest.mark.parametrize(
    ("closed", "out", "err", "code"),
    [
        ("<&-", "out\n7\n", "err\n", 0),
        ("2>&-", "out\n7\n", "", 0),
        (">&-", "", "err\n", 9),
        ("<&- >&- 2>&-", "", "", 9),
    ],
)
def test_a_closed_descriptor_goes_to_no_file(
    tmp_path: Path, closed: str, out: str, err: str, code: int
) -> None:
    file = tmp_path / "file"
    script = f'"$0" -c "$1" "$2" {closed}'
    done = subprocess.run(
        ["bash", "-c", script, sys.executable, SPOKEN, str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (out, err, code)
    assert file.read_text() == ""
