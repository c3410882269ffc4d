"""The terminal: data goes to stdout, talk to stderr, and questions only to a person.

Nothing else of the program writes there. Control characters are made visible here, whoever wrote
the text; `fintts_store.streams` spells what the terminal cannot show.
"""

from __future__ import annotations

import json
import math
import shutil
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import typer

from fintts_cli.errors import UsageProblem
from fintts_store.streams import trouble_of
from fintts_store.visible import one_line, visible, visible_json

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import TextIO

EXIT_UNREAD = 128 + signal.SIGPIPE
"""what a shell says of a program that ended because nobody read on"""


@dataclass(frozen=True, slots=True)
class Terminal:
    """How one command talks: what the user asked for with --json, --quiet and --no-input."""

    json: bool = False
    quiet: bool = False
    no_input: bool = False

    def data(self, text: str) -> None:
        """What the command is for; the only thing on stdout."""
        typer.echo(visible(text))

    def document(self, content: object) -> None:
        """One JSON document on stdout; a number that is not finite is null, as JSON has none."""
        typer.echo(_as_json(content, sys.stdout, indent=2))

    def say(self, text: str = "") -> None:
        """Talk beside the data, which --quiet leaves out."""
        if not self.quiet:
            self.tell(text)

    def tell(self, text: str) -> None:
        """Talk beside the data, which the user is asked about or must know: also with --quiet."""
        typer.echo(visible(text), err=True)

    def warn(self, sentence: str, hint: str = "") -> None:
        """Something the user should know even with --quiet."""
        self.tell(f"warning: {sentence}")
        if hint:
            self.tell(f"hint: {hint}")

    def error(self, message: str, hint: str, exit_code: int) -> None:
        """Why the command ends; with --json a document, on stderr too."""
        if self.json:
            content = {"error": message, "hint": hint, "exit_code": exit_code}
            typer.echo(_as_json(content, sys.stderr), err=True)
            return
        self.tell(f"error: {message}")
        if hint:
            self.tell(f"\nhint: {hint}")

    def end_if_unread(self) -> None:
        """For a command that does nothing but show: ends it quietly once nobody reads on.

        Raises:
            typer.Exit: with what a shell says of such a program.
        """
        if trouble_of(sys.stdout) or trouble_of(sys.stderr):
            raise typer.Exit(EXIT_UNREAD)

    @property
    def may_ask(self) -> bool:
        """Whether there is a person who can answer."""
        return not self.no_input and sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def is_live(self) -> bool:
        """Whether a line on stderr may be written over."""
        return not self.quiet and sys.stderr.isatty()

    @property
    def live_width(self) -> int | None:
        """Characters that a line that is written over may have; None where none is."""
        return shutil.get_terminal_size().columns - 1 if self.is_live else None

    @contextmanager
    def transfer(self, total_bytes: int) -> Generator[Callable[[int], None]]:
        """A bar with rate and time left while the block lasts; to be told of each byte that came.

        Off a terminal, and with nothing to transfer, there is none.
        """
        if not self.is_live or total_bytes == 0:
            yield lambda _size_bytes: None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=total_bytes)
            yield lambda size_bytes: progress.advance(task, size_bytes)

    def agrees(self, question: str, *, whether: str, hint: str) -> bool:
        """Asks a person; `whether` says to what, for the case that there is none.

        Raises:
            UsageProblem: there is no terminal to ask at.
            KeyboardInterrupt: as `confirm` does.
        """
        if not self.may_ask:
            raise UsageProblem(f"cannot ask whether to {whether}", hint)
        return self.confirm(question)

    def ask(self, question: str, *, default: str) -> str:
        """Asks a person on stderr; an empty answer is the default.

        Raises:
            KeyboardInterrupt: Ctrl-C was the answer.
        """
        try:
            return str(typer.prompt(visible(question), default=default, err=True))
        except typer.Abort:
            raise KeyboardInterrupt from None

    def confirm(self, question: str) -> bool:
        """Asks on stderr; only yes is yes.

        Raises:
            KeyboardInterrupt: Ctrl-C was the answer, which Typer would call an ordinary failure.
        """
        try:
            return typer.confirm(visible(question), default=False, err=True)
        except typer.Abort:
            raise KeyboardInterrupt from None


def _as_json(content: object, stream: TextIO, indent: int | None = None) -> str:
    """JSON's own escapes where the stream does not have all of its characters."""
    text = visible_json(json.dumps(_finite(content), indent=indent, ensure_ascii=False))
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(_finite(content), indent=indent)
    return text


def _finite(content: object) -> object:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        items = cast("dict[str, object]", content).items()
        return {key: _finite(value) for key, value in items}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in cast("list[object]", content)]
    return content


class LiveLine:
    """One line on stderr that is written over on a terminal; elsewhere a line for each change."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._shown = ""
        self._remark: str | None = None

    def show(self, text: str, *, mark: object = None) -> None:
        """Shows the text; off a terminal only when `mark` (or, without one, the text) is new."""
        if self._terminal.quiet:
            return
        if self._terminal.is_live:
            sys.stderr.write(f"\r\x1b[2K{one_line(text)[: self._terminal.live_width]}")
            sys.stderr.flush()
            self._shown = text
            return
        key = text if mark is None else repr(mark)
        if key != self._shown:
            self._shown = key
            self._terminal.say(text)

    def remark(self, text: str | None) -> None:
        """On a terminal a line that stays, above the one that is written over; said when it is
        new. Elsewhere nothing: every line stays there."""
        if text and text != self._remark and self._terminal.is_live:
            sys.stderr.write(f"\r\x1b[2K{visible(text)}\n")
            sys.stderr.flush()
        self._remark = text

    def close(self) -> None:
        """Leaves the last text where it is and goes to the next line."""
        if self._terminal.is_live and self._shown:
            sys.stderr.write("\n")
            sys.stderr.flush()
        self._shown = ""
