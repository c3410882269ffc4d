"""The house: no imports run in a circle, and no chain of them is long; those for types included.
Modules import at their top, but for the few that take long to load."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import grimp
import pytest

PACKAGES = (
    *("fintts_cli", "fintts_cost", "fintts_inputs"),
    *("fintts_store", "fintts_templates", "fintts_trainer"),
)
LONGEST_CHAIN = 10
"""files of one package"""
MOST_LATE_IMPORTS = 42
"""inside functions, of all packages"""


@cache
def arrows() -> dict[str, set[str]]:
    """Module → the modules of ours that it imports."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_every_file_is_looked_at() -> None:
    assert len(arrows()) > 300
    assert "fintts_cost.plan.launch" in arrows()["fintts_cli.launch.prepare"]


def test_no_imports_run_in_a_circle() -> None:
    order = list(TopologicalSorter(arrows()).static_order())  # raises CycleError, which names it
    assert len(order) == len(arrows())


@pytest.mark.parametrize("package", PACKAGES)
def test_no_chain_of_imports_is_long(package: str) -> None:
    within = {
        module: {below for below in imported if below.startswith(f"{package}.")}
        for module, imported in arrows().items()
        if module.startswith(package)
    }
    chains: dict[str, list[str]] = {}
    for module in TopologicalSorter(within).static_order():
        below = max((chains[each] for each in within[module]), key=len, default=[])
        chains[module] = [module, *below]
    longest = max(chains.values(), key=len)
    assert len(longest) <= LONGEST_CHAIN, " → ".join(longest)


def imports_in_functions(path: Path) -> list[str]:
    """Where a file imports inside a function, and what."""
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [
        f"{path.name}:{node.lineno} {ast.unparse(node)}"
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def test_modules_import_at_their_top() -> None:
    late: list[str] = []
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations is not None
        for folder in spec.submodule_search_locations:
            late += [
                each for path in Path(folder).rglob("*.py") for each in imports_in_functions(path)
            ]
    assert 0 < len(late) <= MOST_LATE_IMPORTS, "\n".join(late)
