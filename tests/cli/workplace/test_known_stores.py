"""A folder that held a store on this machine, and holds none now: its disk is not mounted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import Result

import hostile_stores
from cli_project import write_project
from command_line import invoke
from fintts_cli.runs.reap.facts import facts_at
from fintts_cli.workplace.known_stores import KnownStores
from fintts_store.backends.directory import DirectoryStore
from fintts_store.errors import StoreUnreachable
from fintts_store.runs.runs import create_run
from run_samples import record


def fintts(*arguments: str) -> Result:
    return invoke(list(arguments))


@pytest.fixture
def gone(own_folder: Path, tmp_path: Path) -> Path:
    """The address of a store that this machine has seen, and that is missing now."""
    write_project(own_folder)
    (tmp_path / "state").mkdir()
    store = DirectoryStore(own_folder / "store")
    create_run(store, record(run="mine"))
    assert fintts("cloud", "ps").exit_code == 0
    store.root.rename(own_folder / "unmounted")
    return store.root


@pytest.mark.parametrize(
    "command",
    [
        *(["cloud", "ps"], ["cloud", "launch", "--yes", "--detach"], ["train"], ["store", "check"]),
        *(["cloud", "report"], ["cloud", "pull-checkpoints"], ["cloud", "prune", "--dry-run"]),
    ],
)
@pytest.mark.parametrize("is_a_folder", [True, False])
def test_a_command_says_that_it_is_gone_and_makes_nothing(
    command: list[str], gone: Path, *, is_a_folder: bool
) -> None:
    if is_a_folder:  # as the mount point of a disk is
        gone.mkdir()
    refused = fintts(*command)
    assert refused.exit_code == 5, refused.output
    assert f"the store in {gone} was there before, but is missing now" in refused.output
    assert "mount its disk again" in refused.output
    assert not gone.exists() or not list(gone.iterdir())


def test_another_store_in_its_place_is_another(gone: Path) -> None:
    DirectoryStore(gone).put("a", b"x")
    assert fintts("cloud", "ps").exit_code == 5


def test_it_comes_back(gone: Path) -> None:
    (gone.parent / "unmounted").rename(gone)
    found = fintts("cloud", "ps")
    assert found.exit_code == 0, found.output
    assert "mine" in found.stdout


def test_the_file_that_is_to_be_removed_is_named(gone: Path) -> None:
    said = fintts("cloud", "ps").stderr
    file = Path(said.partition("if it is gone for good, remove ")[2].strip())
    file.unlink()
    assert fintts("cloud", "ps").exit_code == 0


def test_reap_takes_no_run_of_it_for_one_that_is_deleted(gone: Path, tmp_path: Path) -> None:
    known = KnownStores(tmp_path / "state/stores")
    facts = facts_at(known.open, str(gone), "mine")
    assert facts.silence is not None
    assert "is missing now" in facts.silence


@pytest.mark.parametrize("text", ["", "{", "[" * 9999, "\0", '{"address": "/x", "marker": "y"}'])
def test_a_damaged_memory_is_none(text: str, gone: Path, tmp_path: Path) -> None:
    (file,) = (tmp_path / "state/stores").iterdir()
    file.write_text(text)
    assert fintts("cloud", "ps").exit_code == 0


def test_a_memory_of_gigabytes_is_not_read(gone: Path, tmp_path: Path) -> None:
    (file,) = (tmp_path / "state/stores").iterdir()
    hostile_stores.sparse(file, hostile_stores.HUGE_BYTES)
    assert fintts("cloud", "ps").exit_code == 0


def test_what_was_made_here_is_known_at_once(tmp_path: Path) -> None:
    known = KnownStores(tmp_path / "state/stores")
    (tmp_path / "state").mkdir()
    store = known.open(str(tmp_path / "store"))
    store.put("a", b"x")
    known.note(store)
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(StoreUnreachable, match="is missing now"):
        known.open(str(tmp_path / "store")).put("a", b"y")
    assert not (tmp_path / "store").exists()
