"""Text that the program writes or reads is UTF-8, whatever the machine's locale is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
SOURCES = ("cli", "cost", "store", "inputs", "remote_trainer", "task_templates")
TEXTUAL = ("read_text", "write_text")


def without_encoding(source: str) -> list[str]:
    """Calls that leave the encoding of a text file to the locale."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        says = any(keyword.arg == "encoding" for keyword in node.keywords)
        is_text = isinstance(node.func, ast.Attribute) and name in TEXTUAL
        if (is_text or (name == "open" and _is_textual(node))) and not says:
            found.append(ast.unparse(node))
    return found


def _is_textual(node: ast.Call) -> bool:
    """Of `open`: the one of files, by its modes, and none with b among them."""
    if ast.unparse(node.func).startswith(("os.", "FAMILIES")):
        return False
    modes = node.args[1:2] if isinstance(node.func, ast.Name) else node.args[:1]
    said = [one.value for one in modes if isinstance(one, ast.Constant)]
    return len(said) == len(modes) and not any("b" in str(one) for one in said)


def test_no_text_file_is_in_the_locale_s_encoding() -> None:
    paths = [path for source in SOURCES for path in (TOP / source).rglob("*.py")]
    assert len(paths) > 200
    found = {
        path.name: calls
        for path in paths
        if (calls := without_encoding(path.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source", ["path.read_text()", "p.write_text('a')", "open('a', 'w')", "path.open()"]
)
def test_the_search_finds_them(source: str) -> None:
    assert without_encoding(source)
