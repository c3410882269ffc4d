"""Follows a run to its end: on a screen, or line by line where the output is no terminal."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from rich.text import Text

from fintts_cli.errors import CheckFailed, CloudError
from fintts_cli.runs.instances.requested import instances_of, take_down
from fintts_cli.runs.instances.tear_down import goes_on, unknown_end
from fintts_cli.runs.status.curve import CheckCurve
from fintts_cli.runs.status.follow import follow
from fintts_cli.runs.status.listing import look_at, write_news
from fintts_cli.terminal.live_screen import live_screen
from fintts_cli.views.status.runs import render_live_line
from fintts_cli.views.status.screen import Watched, screen_lines
from fintts_store.output.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from fintts_cli.runs.status.view import RunView
    from fintts_cli.terminal.terminal import Terminal
    from fintts_cli.views.page import Page
    from fintts_cli.workplace.workplace import Workplace
    from fintts_store.errors import StoreUnreachable
    from fintts_store.store import Store


class Display(Protocol):
    """Shows a run while it is followed."""

    def opened(self) -> AbstractContextManager[None]:
        """Keeps the display open during a block."""
        ...

    def show(self, view: RunView) -> None:
        """Shows the run as it is now."""
        ...

    def remark(self, sentence: str) -> None:
        """Shows a sentence about it."""
        ...


class LineDisplay:
    """Prints a line for each event."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._shown: object = None

    def opened(self) -> AbstractContextManager[None]:
        """Does nothing: lines need no opening."""
        return nullcontext()

    def show(self, view: RunView) -> None:
        """Adds a line if there is something new."""
        if view.milestone != self._shown:
            self._shown = view.milestone
            self._terminal.say(one_line(render_live_line(view, datetime.now(UTC))))

    def remark(self, sentence: str) -> None:
        """Warns."""
        self._terminal.warn(sentence)


class ScreenDisplay:
    """The whole terminal."""

    def __init__(self, terminal: Terminal, curve: CheckCurve) -> None:
        self._terminal, self._curve = terminal, curve
        self._shown: Watched | None = None
        self._remarks: list[str] = []

    @contextmanager
    def opened(self) -> Generator[None]:
        """Takes the screen; gives it back after the block, with the remarks below the last
        picture."""
        try:
            with live_screen(self._draw):
                yield
        finally:
            for sentence in self._remarks:
                self._terminal.warn(sentence)

    def show(self, view: RunView) -> None:
        """Replaces the picture; an outage that was remarked on is over."""
        self._shown = Watched(view, self._curve.of(view))

    def remark(self, sentence: str) -> None:
        """Keeps the sentence on the screen until the next view."""
        self._remarks.append(sentence)
        if self._shown is not None:
            self._shown = Watched(self._shown.view, self._shown.checks, sentence)

    def _draw(self, page: Page, seconds: float) -> Sequence[Text]:
        if self._shown is None:
            return [Text("looking for the run", style="dim")]
        return screen_lines(self._shown, datetime.now(UTC), page, seconds)


def display_for(terminal: Terminal, runs: Store, run: str) -> Display:
    """A screen on a terminal that can show one, else lines."""
    if terminal.is_live:
        return ScreenDisplay(terminal, CheckCurve(runs, run))
    return LineDisplay(terminal)


def follow_live(
    terminal: Terminal,
    here: Workplace,
    runs: Store,
    run: str,
    *,
    limit_seconds: float | None = None,
) -> RunView:
    """Shows the run until it ends. Ctrl-C, or a closed output, ends the display and leaves the run
    alone.

    Raises:
        KeyboardInterrupt: after Ctrl-C; it says how to return to the run.
    """
    display = display_for(terminal, runs, run)

    def look() -> RunView:
        view = look_at(runs, run, instances_of(here), datetime.now(UTC))
        write_news(runs, view)
        if not view.only_bills:
            return view
        with suppress(CloudError):  # it is about to end itself
            take_down(here, runs, run)
        return look_at(runs, run, instances_of(here), datetime.now(UTC))

    def show(view: RunView) -> None:
        display.show(view)
        terminal.end_if_unread()

    def excuse(error: CloudError | StoreUnreachable) -> None:
        display.remark(f"{error.message}; run {run} is not affected; trying again in a moment")

    try:
        with display.opened():
            return follow(look, show, time.sleep, excuse, limit_seconds=limit_seconds)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(goes_on(run)) from None


def refuse_bad_ending(view: RunView) -> None:
    """Raises CheckFailed if the run did not end well, InvalidRecord if its record is damaged."""
    if view.stop_reason is None and view.damaged:
        raise unknown_end(view.run, view.damaged[-1])
    if not view.ended_well:
        raise CheckFailed(
            view.message or f"run {view.run}: {view.ending}",
            f"`fintts cloud logs {view.run}` says more",
        )
