"""A bar for commands that read a whole folder of recordings; none for pairs, which take no time."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from fintts_inputs.recordings.files import only_recordings_in

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from fintts_cli.terminal.terminal import Terminal


@contextmanager
def reading_bar(terminal: Terminal, data: Path | None) -> Generator[Callable[[int, int], None]]:
    """Takes the number of recordings read so far and in all."""
    if data is None or only_recordings_in(data) is None:
        yield lambda _done, _total: None
        return
    with terminal.progress("reading") as show:
        yield show
