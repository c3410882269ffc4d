"""A file that lies beside data, models or checkpoints is never imported, whatever its name is."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest

from cli_project import Shell, write_project
from tiny_run import TINY

REPOSITORY = Path(__file__).parents[2]
SOURCES = (
    "cli",
    "inputs",
    "cost",
    "store",
    "remote_trainer",
    "task_templates",
    "examples",
    "benchmarks",
)
NAMES = (
    *("random", "types", "token", "code", "json", "tokenize", "statistics", "sitecustomize"),
    *(
        "typer",
        "yaml",
        "numpy",
        "pydantic",
        "boto3",
        "safetensors",
        "torch",
        "peft",
        "transformers",
    ),
    *("sky", "fintts_trainer", "fintts_inputs", "fintts_cli", "fintts_store", "fintts_cost"),
)
PYTHON = r"""(?i)python[^\s"')]*["')}]*"""
"""as a shell script names one"""


def plant(folder: Path, marker: Path) -> None:
    """A module of each name, which says that it was executed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        line = f"open({str(marker)!r}, 'a').write(__file__ + chr(10))\n"
        (folder / f"{name}.py").write_text(line)


@pytest.fixture(scope="module")
def marker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("marker") / "executed"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, marker: Path) -> Shell:
    """A project with planted modules wherever there can be any."""
    root = tmp_path_factory.mktemp("planted")
    project = write_project(root / "project")
    settings = project / "fintts.yaml"
    shutil.copytree(TINY, project / "model")
    text = settings.read_text().replace(f"base_model: {TINY}", "base_model: model")
    settings.write_text(text.replace("max_steps: 400", "max_steps: 3"))
    shell = Shell(project)
    folders = ("", "speech", "model", "store", "checkpoints", "exports")
    for folder in (project / name for name in folders):
        plant(folder, marker)
    for name in ("", "instances", "instances/planted", "bundles", "trainer", "sky"):
        plant(shell.state / name, marker)
    return shell


def executed(marker: Path) -> list[str]:
    return marker.read_text().splitlines() if marker.exists() else []


def test_a_module_in_the_project_s_folder_is_never_executed(shell: Shell, marker: Path) -> None:
    commands = (
        ("estimate",),
        ("data", "check", "speech"),
        ("train", "--name", "here"),
        ("cloud", "launch", "--name", "planted", "--yes"),
        ("cloud", "ps"),
        ("cloud", "report", "planted"),
        ("cloud", "pull-checkpoints", "planted"),
        ("export", "planted", "--format", "peft"),
        ("export", "planted", "--format", "fish"),
        ("doctor",),
        ("store", "check"),
    )
    for command in commands:
        done = shell(*command)
        assert executed(marker) == [], command
        assert done.returncode == 0, (command, done.stderr)


def test_a_module_in_a_pulled_checkpoint_is_never_executed(shell: Shell, marker: Path) -> None:
    """`fintts export` from that folder started the trainer with the folder on its path."""
    (folder, *_) = sorted((shell.project / "checkpoints" / "planted").glob("checkpoint-*"))
    plant(folder, marker)
    inside = Shell(folder)
    inside.state = shell.state
    store = str(shell.project / "store")
    for form in ("peft", "fish"):
        done = inside("export", "planted", "--format", form, "--store", store)
        assert executed(marker) == []
        assert done.returncode == 0, done.stderr


# --- every place that starts a Python -------------------------------------------------------------


def python_files() -> list[Path]:
    return [path for top in SOURCES for path in (REPOSITORY / top).rglob("*.py")]


def lists_of(tree: ast.Module) -> list[list[str]]:
    """The beginnings of all lists that start with this interpreter, as source."""
    return [
        [ast.unparse(element) for element in node.elts]
        for node in ast.walk(tree)
        if isinstance(node, ast.List)
        and node.elts
        and ast.unparse(node.elts[0]) == "sys.executable"
    ]


def test_each_child_python_is_started_without_the_current_folder_on_its_path() -> None:
    found = {
        path: commands
        for path in python_files()
        if (commands := lists_of(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert len(found) >= 3
    for path, commands in found.items():
        for command in commands:
            assert command[1] in ("'-P'", "'-I'"), (path, command)


def test_each_python_of_a_shell_script_is_started_so_too() -> None:
    scripts = [path for top in SOURCES for path in (REPOSITORY / top).rglob("*.sh")]
    begun = [
        (path.name, line.strip())
        for path in (*scripts, REPOSITORY / "Makefile")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(rf"{PYTHON} (-\w+ )*-m ", line)
    ]
    assert len(begun) >= 4
    for name, line in begun:
        assert re.search(rf"{PYTHON} (-\w+ )*-P (-\w+ )*-m ", line), (name, line)


def test_a_task_s_scripts_say_it_to_all_that_they_start() -> None:
    for name in ("setup.sh", "run.sh"):
        text = (REPOSITORY / "task_templates/fintts_templates" / name).read_text()
        assert "export PYTHONSAFEPATH=1" in text.splitlines()
