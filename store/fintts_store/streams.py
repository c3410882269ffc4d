"""The standard streams of a process whose work must go on when its output is no longer read.

A reader may be gone (`| head`), the disk behind a stream full, the terminal closed, or its
characters few: none of that reaches the writer.
"""

from __future__ import annotations

import codecs
import errno
import os
import select
import sys
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from typing import TextIO

ERRORS = "fintts_store.plain"
"""the name of what encodes a character that a stream does not have"""
PLAIN = {
    **{"─": "-", "–": "-", "·": "-", "│": "|", "├": "+", "└": "+", "┤": "+", "×": "x"},
    **{"→": "->", "…": "...", "²": "2"},
    **dict(zip("▁▂▃▄▅▆▇█", "_.-=+*%#", strict=True)),
}
"""what stands for the characters of our own layout; for any other one a question mark does"""


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    hidden = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in hidden), error.end


codecs.register_error(ERRORS, _plain)


class Outlet:
    """A text stream that writes at once, or remembers in `trouble` why it no longer can."""

    errors = ERRORS
    closed = False

    def __init__(self, descriptor: int, encoding: str, trouble: OSError | None = None) -> None:
        self._descriptor = descriptor
        self.encoding = encoding
        self.trouble = trouble

    def write(self, text: str) -> int:
        """Never raises OSError: what can no longer be written is dropped."""
        rest = memoryview(text.encode(self.encoding, self.errors))
        while rest and self.trouble is None:
            rest = rest[self._put(rest) :]
        return len(text)

    def _put(self, data: memoryview) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # another process that shares the descriptor made it non-blocking
            select.select([], [self._descriptor], [])
        except OSError as error:
            self.trouble = error
        return 0

    def flush(self) -> None:
        """There is nothing to flush."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        """The descriptor, for what writes there itself."""
        return self._descriptor

    def writable(self) -> bool:
        """As a stream says it."""
        return True


def take_over() -> None:
    """From here on stdin, stdout and stderr are there, and writing to the latter two cannot fail.

    A descriptor that was closed becomes /dev/null: else the next file that is opened would get its
    number, and what is said would be written into it.
    """
    was_open = [_is_open(number) for number in range(3)]
    for number in range(3):
        if not was_open[number]:  # the lowest free number is the next one that is given
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if not was_open[0] or sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    sys.stdout = cast("TextIO", _outlet(1, sys.stdout, is_open=was_open[1]))
    sys.stderr = cast("TextIO", _outlet(2, sys.stderr, is_open=was_open[2]))


def trouble_of(stream: object) -> OSError | None:
    """Why nothing can be written there any more; None of one that is well, and of any other
    stream than ours."""
    return stream.trouble if isinstance(stream, Outlet) else None


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _outlet(number: int, before: TextIO | None, *, is_open: bool) -> Outlet:
    if before is not None:
        before.flush()
    trouble = None if is_open else OSError(errno.EBADF, "it is closed")
    return Outlet(number, before.encoding if before is not None else "utf-8", trouble)
