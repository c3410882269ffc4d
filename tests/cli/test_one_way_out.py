"""Terminal is the only way to the terminal, and makes control characters visible."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fintts_cli
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.page import Page
from fintts_store.output.visible import visible, visible_json
from hostile_stores import BIDI, CSI, EVIL, OSC_52

SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYzzzEXAMPLEKEY"
SOURCES = Path(fintts_cli.__file__).parent
VALUES = ("rich.text", "rich.cells")
"""modules that measure and hold text, and write nothing"""
CONTROL = frozenset(map(chr, [*range(9), *range(11, 32), *range(127, 160)])) | set(
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)


def ways_out(source: str) -> Iterator[str]:
    """What in a module writes to the terminal, or could."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            is_constant = bool(node.args) and isinstance(node.args[0], ast.Constant)
            if called in ("print", "input", "os.write", "typer.prompt", "typer.confirm"):
                yield called
            if called.endswith(("typer.echo", "typer.secho", "echo_via_pager")):
                yield called
            if called.endswith(("stdout.write", "stderr.write")) and not is_constant:
                yield called
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            module = node.module or "" if isinstance(node, ast.ImportFrom) else names[0]
            if module.split(".")[0] in ("rich", "click") and module not in VALUES:
                yield f"import {module}"


def test_nothing_but_terminal_its_bars_and_its_screen_writes_to_the_terminal() -> None:
    modules = sorted(SOURCES.rglob("*.py"))
    found = {
        path.relative_to(SOURCES).as_posix(): ways
        for path in modules
        if (ways := list(ways_out(path.read_text())))
    }
    assert len(modules) > 80
    assert found.keys() == {
        f"terminal/{name}.py" for name in ("terminal", "bars", "live_screen")
    }, found


@pytest.mark.parametrize(
    "source",
    ["print(x)", "import typer\ntyper.echo(x)", "sys.stderr.write(x)", "from rich import print"],
)
def test_the_search_finds_other_ways(source: str) -> None:
    assert list(ways_out(source))


@pytest.mark.parametrize("text", [OSC_52, CSI, BIDI, EVIL, "\x7f", "\x9b31m", "\r", "\ud800"])
def test_control_characters_are_visible(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.data(text)
    terminal.say(text)
    terminal.warn(text, text)
    terminal.error(text, text, 1)
    out, err = capsys.readouterr()
    assert not CONTROL & set(out + err)
    assert out.count("\\") >= 1
    assert err.count("\\") >= 4


def test_what_the_layout_makes_stays(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().data("a\tb\nÄäni · ▁▂▃ 日本語 👩\u200d🔬")
    assert capsys.readouterr().out == "a\tb\nÄäni · ▁▂▃ 日本語 👩\u200d🔬\n"


def test_a_document_means_what_it_meant(capsys: pytest.CaptureFixture[str]) -> None:
    content = {EVIL: [EVIL, "\ud800", "Ääni", {"a": 1.5}]}
    Terminal().document(content)
    out = capsys.readouterr().out
    assert not CONTROL & set(out)
    assert "Ääni" in out
    assert json.loads(out) == content


def test_a_number_that_json_does_not_have_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().document({"a": float("nan"), "b": [float("inf")]})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None]}


def test_a_line_of_the_screen_cannot_be_forged() -> None:
    page = Page(80, 24)
    for line in (page.line(EVIL), page.labelled(EVIL, [f"{EVIL}\rgood: $0.00\n"])):
        assert not (CONTROL | {"\n"}) & set(line.plain)


def test_a_secret_in_a_document_is_redacted_and_the_document_stays_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {
        "message": f'refused: {{"Authorization": "Bearer {SECRET}"}} and "more"',
        "SecretAccessKey": SECRET,
        "lines": [f"aws_session_token={SECRET}", f'bearer {SECRET}"'],
        "Ääni": "soi",
    }
    for encoding in ("utf-8", "ascii"):
        monkeypatch.setattr("sys.stdout", TextIOWrapper(BytesIO(), encoding=encoding))
        Terminal().document(content)
        sys.stdout.seek(0)
        found = json.loads(sys.stdout.read())
        assert SECRET not in json.dumps(found)
        assert found.keys() == content.keys()
        assert found["Ääni"] == "soi"


@given(st.text())
def test_any_text_is_shown_without_control_characters(text: str) -> None:
    assert not CONTROL & set(visible(text))
    visible(text).encode()


@given(st.recursive(st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
def test_any_document_survives(content: object) -> None:
    text = visible_json(json.dumps(content, ensure_ascii=False))
    assert not CONTROL & set(text)
    assert json.loads(text) == content
