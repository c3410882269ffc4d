"""The code that a card and `pull-checkpoints` show: it runs as it stands, and holds literals."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cli_project import Shell, write_project
from fintts_cli.checkpoints.card import adapter_card, opening_lines
from fintts_inputs.base_model.licence import Licence
from run_samples import manifest, record
from tiny_run import TINY

ODD = [
    '")\nimport os\nos.system("touch executed")\n#',
    "'); __import__('os').system('touch executed') #",
    '"""\n```\n<script>alert(1)</script>\n```python\n',
    "---\nlicense: mit\n---",
    "\U0001f600 | a \\ b ` c",
]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A project with a run that was trained to its end, and pulled."""
    shell = Shell(write_project(tmp_path_factory.mktemp("card") / "project"))
    done = shell("train", "--name", "mine", "--max-steps", "3")
    assert done.returncode == 0, done.stderr
    return shell


def run_code(code: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_pull_shows_next_runs_as_printed(shell: Shell, tmp_path: Path) -> None:
    pulled = shell("cloud", "pull-checkpoints", "mine")
    assert pulled.returncode == 0, pulled.stderr
    _, _, code = pulled.stderr.partition("next, in Python:\n")
    run_code(code + "\nassert model.peft_config", tmp_path)


@pytest.mark.parametrize("command", ["pull", "export"])
def test_a_card_s_code_runs_where_its_reader_has_the_base_model(shell: Shell, command: str) -> None:
    if command == "pull":
        shell("cloud", "pull-checkpoints", "mine")
        (folder, *_) = sorted(shell.project.glob("checkpoints/mine/checkpoint-*"))
    else:
        shell("export", "mine", "--format", "peft")
        (folder, *_) = sorted(shell.project.glob("exports/mine-*-peft"))
    card = (folder / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    for name in ("README.md", "adapter_config.json"):
        assert str(TINY) not in (folder / name).read_text(), "it lies elsewhere with its reader"
    assert f"base_folder = {TINY.name!r}  # the folder of your copy" in code
    filled_in = code.replace(f"base_folder = {TINY.name!r}", f"base_folder = {str(TINY)!r}")
    run_code(filled_in + "\nassert model.peft_config", folder)
    if command == "export":  # and as it stands, where the base model lies beside it
        (folder / TINY.name).symlink_to(TINY)
        run_code(code + "\nassert model.peft_config", folder)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("revision", [None, "main"])
def test_every_value_in_the_code_is_a_literal(name: str, revision: str | None) -> None:
    base = record().base_model.model_copy(update={"name": name, "revision": revision})
    one = record().model_copy(update={"base_model": base, "config": {"base_model": name}})
    code = "\n".join(opening_lines(one, name))
    tree = ast.parse(code)
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert strings.count(name) == 2
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert calls <= {
        *("Path", "open_base", "snapshot_download", "PeftModel.from_pretrained"),
        "open_base(Path(base_folder)).load",
    }


@pytest.mark.parametrize("name", ODD)
def test_a_card_s_front_matter_and_text_hold_what_is_said(name: str) -> None:
    base = record().base_model.model_copy(update={"name": name})
    one = record().model_copy(update={"base_model": base})
    text = adapter_card(one, manifest(100, 4.0), Licence("other", "its card", name=name, link=name))
    _, head, rest = text.split("---\n", 2)
    assert yaml.safe_load(head)["base_model"] == name
    assert yaml.safe_load(head)["license_name"] == name
    assert rest.count("```") == 2
    assert "<script>" not in re.sub(r"```.*?```", "", rest, flags=re.DOTALL)
