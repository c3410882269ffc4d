"""The `fintts` command, and the one place where errors become exit codes and hints."""

import errno
import os
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

import typer

from fintts_cli.commands.strict import USAGE_ERROR
from fintts_cli.commands.table import CloudCommands, CommandTable, DataCommands, StoreCommands
from fintts_cli.errors import CliError
from fintts_cli.terminal.terminal import EXIT_UNREAD, Terminal
from fintts_cli.timed_call import is_overdue
from fintts_cli.workplace.equipment import equipped
from fintts_cost import __version__
from fintts_cost.errors import CostError, OverBudget
from fintts_inputs.errors import BadFactor, FolderMissing, InputError
from fintts_store.errors import StoreError
from fintts_store.output.redaction import without_secrets
from fintts_store.output.streams import trouble_of

WANTS_JSON = "fintts_cli.json"
"""The key in click's Context.meta that says whether errors are JSON, too."""

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2
EXIT_OVER_BUDGET = 3
EXIT_STORE = 5
EXIT_INTERRUPTED = 130

EPILOG = """\b
Exit codes:
    0  done
    1  the run or the check failed
    2  usage or configuration
    3  refused: over budget
    4  the cloud: no offer, no credentials, provisioning failed
    5  the store: unreachable, denied, corrupt
  130  interrupted
"""

KnownError = CliError | CostError | StoreError | InputError
KNOWN_ERRORS = (CliError, CostError, StoreError, InputError)
WRONG_CONFIGURATION = (CostError, FolderMissing, BadFactor)

GROUPS: dict[str, tuple[type[CommandTable], str]] = {
    "data": (DataCommands, "Checks and packs a folder of speech."),
    "cloud": (CloudCommands, "Launches and manages runs."),
    "store": (StoreCommands, "Checks the store."),
}

HELP_INSTEAD = "NoArgsIsHelpError"
"""Typer's private name of the usage error whose message is the help"""


class Fintts(CommandTable):
    """All commands below `fintts`; it turns every expected error into its exit code."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # click's Context is private to Typer
        """Takes the options before the command's name, and remembers whether errors are JSON."""
        ctx.meta[WANTS_JSON] = "--json" in args
        with _errors_told(as_json=ctx.meta[WANTS_JSON]):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Runs the command."""
        with _errors_told(as_json=ctx.meta[WANTS_JSON]), equipped(ctx.obj):
            return super().invoke(ctx)


@contextmanager
def _errors_told(*, as_json: bool) -> Generator[None]:
    """Reports an expected error in one sentence, and ends with its exit code."""
    try:
        yield
    except KNOWN_ERRORS as error:
        _report(error.message, error.hint, exit_code(error), as_json=as_json)
        raise typer.Exit(exit_code(error)) from None
    except USAGE_ERROR as error:
        _report_usage(error, as_json=as_json)
        raise typer.Exit(error.exit_code) from None
    except OSError as error:  # here: of a broken pipe Typer would say nothing
        _report_os_error(error, as_json=as_json)
        raise typer.Exit(EXIT_FAILED) from None
    except KeyboardInterrupt as interrupt:
        _report(str(interrupt) or "interrupted", "", EXIT_INTERRUPTED, as_json=as_json)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def exit_code(error: KnownError) -> int:
    """The contract's exit code for an error."""
    if isinstance(error, CliError):
        return error.exit_code
    if isinstance(error, StoreError):
        return EXIT_STORE
    if isinstance(error, OverBudget):
        return EXIT_OVER_BUDGET
    return EXIT_CONFIGURATION if isinstance(error, WRONG_CONFIGURATION) else EXIT_FAILED


def _report(message: str, hint: str, code: int, *, as_json: bool) -> None:
    Terminal(json=as_json).error(message, hint, code)


def _report_usage(error: typer.BadParameter, *, as_json: bool) -> None:
    """Typer's message may quote what the user typed, control characters included."""
    if type(error).__name__ == HELP_INSTEAD:
        Terminal().tell(error.format_message())
        return
    hint = f"see `{error.ctx.command_path} --help`" if error.ctx else ""
    # pydantic, which reads choices for Typer, names its kind of error
    message = error.format_message().replace("Value error, ", "", 1)
    _report(message, hint, error.exit_code, as_json=as_json)


def _report_os_error(error: OSError, *, as_json: bool) -> None:
    """Reports an error of the operating system: a full disk, a folder that is gone, a name that is
    too long."""
    place = f"{error.filename}: " if error.filename else ""
    _report(f"{place}{error.strerror or error}", "", EXIT_FAILED, as_json=as_json)


def _print_version(wanted: bool) -> None:
    if wanted:
        Terminal().data(f"fintts {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Fine-tunes a text-to-speech model with LoRA on a rented GPU, at a price known beforehand."""


def build() -> typer.Typer:
    """The tree of commands."""
    app = typer.Typer(
        cls=Fintts,
        callback=_root,
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for name, (group, summary) in GROUPS.items():
        below = typer.Typer(cls=group, help=summary, no_args_is_help=True, rich_markup_mode=None)
        app.add_typer(below, name=name)
    return app


def main() -> None:
    """Runs the command line, and ends even if a store never answers."""
    try:
        _run()
    except SystemExit as end:
        code = _code_with_output(end.code if isinstance(end.code, int) else EXIT_FAILED)
        if is_overdue():
            os._exit(code)  # an ordinary exit waits for the threads that wait for the store
        sys.exit(code)


def _code_with_output(code: int) -> int:
    """Fails if the output of a command that did its work could not be written."""
    trouble = trouble_of(sys.stdout)
    if trouble is None or code != 0:
        return code
    if trouble.errno == errno.EPIPE:
        return EXIT_UNREAD
    message = f"cannot write to standard output: {trouble.strerror}"
    hint = "only the output is lost; the command itself succeeded"
    _report(message, hint, EXIT_FAILED, as_json="--json" in sys.argv)
    return EXIT_FAILED


def _run() -> None:
    """Turns an unexpected error into one sentence and a file to report."""
    try:
        _refuse_closed_output()
        _refuse_lost_folder()
        build()()
    except OSError as error:
        _report_os_error(error, as_json="--json" in sys.argv)
        sys.exit(EXIT_FAILED)
    except Exception as error:
        if os.environ.get("FINTTS_DEBUG") == "1":
            raise
        sentence = f"unexpected {type(error).__name__}: {error}"
        hint = f"please report it and attach {_keep_traceback()}"
        _report(sentence, hint, EXIT_FAILED, as_json="--json" in sys.argv)
        sys.exit(EXIT_FAILED)


def _refuse_closed_output() -> None:
    """Refuses a closed standard output before the command does anything."""
    if trouble_of(sys.stdout) is None:
        return
    _report(
        "standard output is closed",
        "`> /dev/null` discards the output",
        EXIT_CONFIGURATION,
        as_json="--json" in sys.argv,
    )
    sys.exit(EXIT_CONFIGURATION)


def _refuse_lost_folder() -> None:
    """Refuses a current folder that was removed: relative names mean nothing there."""
    try:
        os.getcwd()  # noqa: PTH109 - pathlib is slow to load
    except OSError as error:
        sentence = f"the current folder cannot be used: {error.strerror}"
        _report(
            sentence,
            "cd to a folder that exists",
            EXIT_CONFIGURATION,
            as_json="--json" in sys.argv,
        )
        sys.exit(EXIT_CONFIGURATION)


def _keep_traceback() -> str:
    """Writes the traceback to a file; returns the file's name, or how to see the traceback."""
    from fintts_cli.workplace.state_folder import state_directory

    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        path = state_directory() / f"traceback-{moment}-{os.getpid()}.txt"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        text = without_secrets(traceback.format_exc())
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except (OSError, CliError):
        return "the traceback that FINTTS_DEBUG=1 shows"
    return str(path)
