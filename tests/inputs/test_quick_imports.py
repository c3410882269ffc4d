"""Imports without the collector, which is as it was afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from fintts_inputs.quick_imports import quick_imports


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """As each test finds it and leaves it."""
    was_enabled = gc.isenabled()
    yield
    gc.unfreeze()
    (gc.enable if was_enabled else gc.disable)()


def test_nothing_is_collected_within_and_what_was_made_is_left_alone() -> None:
    gc.unfreeze()
    with quick_imports():
        assert not gc.isenabled()
        made = [[number] for number in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(made)
    assert not [one for one in gc.get_objects() if one is made]


def test_a_module_that_is_missing_leaves_the_collector_at_work() -> None:
    with pytest.raises(ModuleNotFoundError), quick_imports():
        import a_module_that_is_missing  # type: ignore[import-not-found]  # noqa: F401
    assert gc.isenabled()


def test_who_does_without_a_collector_is_not_given_one() -> None:
    gc.disable()
    with quick_imports():
        pass
    assert not gc.isenabled()
