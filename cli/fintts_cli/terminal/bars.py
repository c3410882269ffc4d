"""Progress bars on stderr. Loaded only when one is shown, since Rich takes long to load."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


@contextmanager
def transfer_bar(total_bytes: int) -> Generator[Callable[[int], None]]:
    """A bar with rate and time left; the given function takes the size of each piece in bytes."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with _bar(*columns) as bar:
        task = bar.add_task("", total=total_bytes)
        yield lambda size_bytes: bar.advance(task, size_bytes)


@contextmanager
def progress_bar(what: str) -> Generator[Callable[[int, int], None]]:
    """A bar with the time left; the given function takes how much is done, and how much there
    is."""
    with _bar(what, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _bar(*columns: str | ProgressColumn) -> Progress:
    return Progress(*columns, console=Console(stderr=True), transient=True)
