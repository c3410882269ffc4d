"""The terminal: data goes to stdout, messages go to stderr, and only a person gets questions.

Nothing else in the program writes there. Control characters from any source are made visible here;
`fintts_store.output.streams` replaces characters that the terminal cannot show.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import typer

from fintts_cli.errors import UsageProblem
from fintts_store.output.redaction import without_secrets, without_secrets_of
from fintts_store.output.streams import trouble_of
from fintts_store.output.visible import visible, visible_json

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import TextIO

CANNOT_MOVE_ITS_CURSOR = ("", "dumb", "unknown")
EXIT_UNREAD = 128 + signal.SIGPIPE
"""the exit status that a shell reports for a program whose reader closed the pipe"""


@dataclass(frozen=True, slots=True)
class Terminal:
    """One command's output and input, under --json, --quiet and --no-input."""

    json: bool = False
    quiet: bool = False
    no_input: bool = False

    def data(self, text: str) -> None:
        """The command's result; the only output on stdout."""
        typer.echo(visible(text))

    def document(self, content: object) -> None:
        """One JSON document on stdout; a number that is not finite becomes null, since JSON has
        none."""
        typer.echo(_as_json(content, sys.stdout, indent=2))

    def say(self, text: str = "") -> None:
        """A message in addition to the data; --quiet hides it."""
        if not self.quiet:
            self.tell(text)

    def tell(self, text: str) -> None:
        """A message that the user must see, such as the context of a question; shown even with
        --quiet."""
        typer.echo(visible(text), err=True)

    def warn(self, sentence: str, hint: str = "") -> None:
        """Something the user should know even with --quiet."""
        self.tell(f"warning: {sentence}")
        if hint:
            self.tell(f"hint: {hint}")

    def error(self, message: str, hint: str, exit_code: int) -> None:
        """The reason why the command fails; with --json a document, also on stderr."""
        if self.json:
            content = {"error": message, "hint": hint, "exit_code": exit_code}
            typer.echo(_as_json(content, sys.stderr), err=True)
            return
        self.tell(f"error: {message}")
        if hint:
            self.tell(f"\nhint: {hint}")

    def end_if_unread(self) -> None:
        """Ends a command that only shows data quietly once its reader has closed the pipe.

        Raises:
            typer.Exit: with the status that a shell reports for such a program.
        """
        if trouble_of(sys.stdout) or trouble_of(sys.stderr):
            raise typer.Exit(EXIT_UNREAD)

    @property
    def may_ask(self) -> bool:
        """Whether a person can answer."""
        return not self.no_input and sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def is_live(self) -> bool:
        """Whether stderr is a terminal that can move its cursor, and --quiet does not forbid it."""
        can_move = os.environ.get("TERM", "").lower() not in CANNOT_MOVE_ITS_CURSOR
        return not self.quiet and can_move and sys.stderr.isatty()

    @property
    def data_width(self) -> int | None:
        """The columns for data on stdout; None off a terminal, where lines may have any length."""
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else None

    @contextmanager
    def transfer(self, total_bytes: int) -> Generator[Callable[[int], None]]:
        """A bar with rate and time left while the block lasts; call the given function with the
        size of each piece that arrives.

        There is none off a terminal, or with nothing to transfer.
        """
        if not self.is_live or total_bytes == 0:
            yield lambda _size_bytes: None
            return
        from fintts_cli.terminal.bars import transfer_bar

        with transfer_bar(total_bytes) as arrived:
            yield arrived

    @contextmanager
    def progress(self, what: str) -> Generator[Callable[[int, int], None]]:
        """A bar with the time left while the block lasts; call the given function with how much is
        done, and how much there is. There is none off a terminal."""
        if not self.is_live:
            yield lambda _done, _total: None
            return
        from fintts_cli.terminal.bars import progress_bar

        with progress_bar(what) as advanced:
            yield advanced

    def agrees(self, question: str, *, whether: str, hint: str) -> bool:
        """Asks a person; `whether` names what they agree to, for the error if none can answer.

        Raises:
            UsageProblem: there is no terminal to ask at.
            KeyboardInterrupt: as in `confirm`.
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
    """JSON, with its own escapes if the stream cannot show all characters."""
    shown = _shown(content)
    text = visible_json(json.dumps(shown, indent=indent, ensure_ascii=False))
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(shown, indent=indent)
    return text


def _shown(content: object, name: str = "") -> object:
    """The content without secrets, and null for a number that JSON does not have.

    Args:
        name: of the field that holds it.
    """
    if isinstance(content, str):
        return without_secrets_of(name, content)
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        items = cast("dict[str, object]", content).items()
        return {without_secrets(key): _shown(value, key) for key, value in items}
    if isinstance(content, list | tuple):
        return [_shown(value, name) for value in cast("list[object]", content)]
    return content
