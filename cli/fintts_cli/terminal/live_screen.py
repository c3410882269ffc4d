"""A terminal screen that is redrawn several times a second until the block ends."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live

from fintts_cli.views.page import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from rich.text import Text

    Draw = Callable[[Page, float], Sequence[Text]]

FRAMES_A_SECOND = 4


@contextmanager
def live_screen(draw: Draw) -> Generator[None]:
    """Draws on stderr's alternate screen while the block lasts, then leaves the last picture on the
    normal one.

    Args:
        draw: takes the page and the seconds since the beginning; called in another thread.
    """
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    started = time.monotonic()

    def picture() -> Group:
        page = Page(*console.size, console.encoding)
        return Group(*draw(page, time.monotonic() - started))

    live = Live(
        console=console,
        screen=True,
        get_renderable=picture,
        refresh_per_second=FRAMES_A_SECOND,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    try:
        with live:
            yield
    finally:
        console.print(picture())
        sys.stderr.flush()
