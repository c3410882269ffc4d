"""The command tree: help, versions, and errors that become exit codes in one place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from command_line import invoke
from fintts_cli.app import EXIT_STORE, Fintts, build, exit_code
from fintts_cli.commands.options import Json
from fintts_cli.commands.table import CLOUD, DATA, STORE, Entry, load
from fintts_cli.commands.table import COMMANDS as COMMANDS_BELOW_FINTTS
from fintts_cli.errors import CloudError, ConfigError
from fintts_cost import __version__
from fintts_cost.errors import OverBudget, ScheduleError
from fintts_inputs.errors import DataProblem, FolderMissing
from fintts_store.errors import CheckpointCorrupt

KALEVALA = Path(__file__).parents[2] / "examples" / "kalevala" / "fintts.yaml"
FINTTS = str(Path(sys.executable).parent / "fintts")
COMMANDS = [
    [],
    ["init"],
    ["data"],
    ["data", "encode"],
    ["data", "check"],
    ["data", "pack"],
    ["estimate"],
    ["train"],
    ["speak"],
    ["export"],
    ["doctor"],
    ["cloud"],
    ["cloud", "offers"],
    ["cloud", "launch"],
    ["cloud", "ps"],
    ["cloud", "tensorboard"],
    ["cloud", "watch"],
    ["cloud", "logs"],
    ["cloud", "stop"],
    ["cloud", "down"],
    ["cloud", "pull-checkpoints"],
    ["cloud", "pin"],
    ["cloud", "unpin"],
    ["cloud", "prune"],
    ["cloud", "listen"],
    ["cloud", "report"],
    ["cloud", "compare"],
    ["cloud", "reap"],
    ["store"],
    ["store", "check"],
]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FINTTS, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(["fintts", *command]))
def test_help_is_as_it_was_read(
    command: list[str], golden: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    result = invoke([*command, "--help"], prog_name="fintts")
    assert result.exit_code == 0
    golden("cli_help_" + "_".join(["fintts", *command]) + ".txt", result.stdout)


def test_every_command_is_among_those_whose_help_is_read() -> None:
    root = typer.main.get_command(build())
    found: list[list[str]] = []

    def walk(command: object, path: list[str]) -> None:
        found.append(path)
        for name, below in getattr(command, "commands", {}).items():
            walk(below, [*path, name])

    walk(root, [])
    assert sorted(found) == sorted(COMMANDS)


@pytest.mark.parametrize("table", [COMMANDS_BELOW_FINTTS, DATA, CLOUD, STORE])
def test_the_line_of_a_command_in_its_group_is_the_first_of_its_own_help(
    table: dict[str, Entry],
) -> None:
    for name, entry in table.items():
        assert str(load(name, entry).help).splitlines()[0] == entry.summary


def test_help_loads_no_command() -> None:
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from fintts_cli.app import build\n"
        "for arguments in (['--help'], ['cloud', '--help']):\n"
        "    assert CliRunner().invoke(build(), arguments).exit_code == 0\n"
        "below = [name for name in sys.modules if name.startswith('fintts_cli.commands.')]\n"
        "print(sorted(below))\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    assert said == b"['fintts_cli.commands.strict', 'fintts_cli.commands.table']\n"


def test_help_lists_the_exit_codes() -> None:
    text = invoke(["--help"]).stdout
    for code in ("0", "1", "2", "3", "4", "5", "130"):
        assert f"{code:>5}  " in text


def test_the_version_is_single_sourced() -> None:
    assert run("--version").stdout == f"fintts {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence", "see"),
    [
        (["estimate", "--json", "--sample"], "No such option: --sample", "fintts estimate"),
        (["estimate", "--budget", "much", "--json"], "not an amount in dollars", "fintts estimate"),
        (["cloud", "lunch", "--json"], "No such command 'lunch'", "fintts cloud"),
        (["--jason", "--json"], "No such option: --jason", "fintts"),
    ],
)
def test_a_usage_error_is_json_where_json_is_wanted(
    arguments: list[str], sentence: str, see: str
) -> None:
    result = invoke(arguments, prog_name="fintts")
    assert (result.exit_code, result.stdout) == (2, "")
    told = json.loads(result.stderr)
    assert sentence in told["error"]
    assert told["hint"] == f"see `{see} --help`"
    assert told["exit_code"] == 2


def test_a_misspelt_option_is_a_usage_error() -> None:
    result = run("estimate", "--sample", "3")
    assert result.returncode == 2
    assert "--samples" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("a"), 2),
        (OverBudget("a"), 3),
        (CloudError("a"), 4),
        (ScheduleError("a"), 2),
        (CheckpointCorrupt("a"), 5),
        (DataProblem("a"), 1),
        (FolderMissing("a"), 2),
    ],
)
def test_each_error_has_the_contracts_exit_code(error: Exception, code: int) -> None:
    app = typer.Typer(cls=Fintts, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.command()
    def fail(json: Json = False) -> None:
        raise error

    @app.command()
    def other() -> None: ...

    plain = CliRunner().invoke(app, ["fail"])
    assert (plain.exit_code, plain.stdout) == (code, "")
    assert plain.stderr == "error: a\n"
    documented = CliRunner().invoke(app, ["fail", "--json"])
    assert (documented.exit_code, documented.stdout) == (code, "")
    assert json.loads(documented.stderr) == {"error": "a", "hint": "", "exit_code": code}


def test_a_hint_follows_after_a_blank_line() -> None:
    app = typer.Typer(cls=Fintts, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise ConfigError("it is wrong", "mend it")

    @app.command()
    def interrupt() -> None:
        raise KeyboardInterrupt

    result = CliRunner().invoke(app, ["fail"])
    assert result.stderr == "error: it is wrong\n\nhint: mend it\n"
    stopped = CliRunner().invoke(app, ["interrupt"])
    assert stopped.exit_code == 130
    assert "interrupted" in stopped.stderr


def test_a_store_error_is_a_store_error_whatever_its_kind() -> None:
    assert exit_code(CheckpointCorrupt("x")) == EXIT_STORE


def test_what_nobody_foresaw_is_one_sentence_and_a_file(own_folder: Path) -> None:
    """A state directory that is a file breaks nothing but the place for the traceback."""
    program = (
        "import fintts_cli.app as app\n"
        "def broken(): raise ZeroDivisionError('by zero')\n"
        "app.build = lambda: broken\n"
        "app.main()\n"
    )

    def crash(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environment,
        )

    result = crash()
    assert result.returncode == 1
    assert result.stderr.startswith("error: unexpected ZeroDivisionError: by zero\n\nhint: ")
    written = list((own_folder.parent / "state").glob("traceback-*.txt"))
    assert len(written) == 1
    assert str(written[0]) in result.stderr
    assert "Traceback" in written[0].read_text()
    assert "Traceback" not in result.stderr
    shown = crash(FINTTS_DEBUG="1")
    assert shown.returncode == 1
    assert "Traceback" in shown.stderr
    (own_folder / "file").write_text("")
    unwritable = crash(FINTTS_STATE_DIR=str(own_folder / "file"))
    assert "FINTTS_DEBUG=1" in unwritable.stderr
    assert unwritable.returncode == 1


def test_what_the_machine_refuses_is_no_fault_of_the_program() -> None:
    program = (
        "import errno, os, fintts_cli.app as app\n"
        "def full(): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), '/x')\n"
        "app.build = lambda: full\n"
        "app.main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (1, "error: /x: No space left on device\n")


@pytest.mark.parametrize(
    "happens", ["raise KeyboardInterrupt", "os.kill(os.getpid(), 15)", "os.kill(os.getpid(), 1)"]
)
def test_an_interruption_while_the_program_loads_is_one_sentence(happens: str) -> None:
    program = (
        "import os, sys\n"
        "from fintts_cli.__main__ import main\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == 'fintts_cli.app': {happens}\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.returncode == 130
    assert result.stderr == "error: interrupted\n"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{FINTTS} estimate --reference-run | head -n 1"
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in result.stderr
    assert "error" not in result.stderr


def test_help_and_estimate_import_neither_torch_nor_sky_nor_numpy() -> None:
    """These imports alone would take longer than the commands may."""
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from fintts_cli.app import build\n"
        "for arguments in (['--help'], ['estimate', '--reference-run'],\n"
        f"        ['estimate', '--config', '{KALEVALA}'],\n"
        "        ['estimate', '--samples', '9', '--seconds-per-step', '1']):\n"
        "    result = CliRunner().invoke(build(), arguments)\n"
        "    assert result.exit_code == 0, result.output\n"
        "heavy = {'torch', 'sky', 'boto3', 'numpy', 'rich', 'transformers'} & set(sys.modules)\n"
        "print(sorted(heavy))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_a_choice_that_does_not_exist_gets_a_plain_sentence() -> None:
    refused = invoke(["export", "mine", "--format", "xx"])
    assert refused.exit_code == 2
    assert "error: Invalid value for '--format': 'xx' is not one of 'peft', 'fish'." in (
        refused.stderr
    )
