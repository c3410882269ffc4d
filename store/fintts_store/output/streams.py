"""Standard streams whose failure does not stop the process.

The reader may end (`| head`), the disk may fill, the terminal may close, or it may lack characters:
the writer gets no exception.
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
"""the name of the codec error handler for characters that a stream lacks"""
PLAIN = {
    **{"─": "-", "–": "-", "·": "-", "│": "|", "├": "+", "└": "+", "┤": "+", "×": "x"},
    **{"→": "->", "…": "...", "²": "2", "━": "=", "╍": "~", "⠶": "*"},
    **dict(zip("▁▂▃▄▅▆▇█", "_.-=+*%#", strict=True)),
}
"""replacements for the characters of our own layout; any other becomes a question mark"""


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    hidden = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in hidden), error.end


codecs.register_error(ERRORS, _plain)


class Outlet:
    """A text stream without a buffer; after a failed write it keeps the error in `trouble`."""

    errors = ERRORS
    closed = False

    def __init__(self, descriptor: int, encoding: str, trouble: OSError | None = None) -> None:
        self._descriptor = descriptor
        self.encoding = encoding
        self.trouble = trouble

    def write(self, text: str) -> int:
        """Writes the text, or drops it after an error; never raises OSError."""
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
        """Does nothing: there is no buffer."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        """The descriptor, for callers that write to it directly."""
        return self._descriptor

    def writable(self) -> bool:
        """Always True."""
        return True


def take_over() -> None:
    """Replaces stdout and stderr by streams that never raise, and opens closed standard streams.

    A closed descriptor becomes /dev/null: otherwise the next opened file would get its number, and
    output would be written into that file.
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
    """The error that stopped writing to the stream; None if there is none, or for a stream that is
    not an `Outlet`."""
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
