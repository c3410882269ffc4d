"""Every command that reads, over every store of the corpus: a sentence, a known exit code, the
healthy run beside it, no control character, little memory and little time."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from typer.testing import Result

import hostile_stores
from command_line import invoke
from fake_equipment import equipment_with
from fake_sky import Cluster, FakeSky
from fintts_cli.workplace.equipment import Equipment
from run_samples import START

SECONDS = 30
MEMORY_KIB = 300 * 1024
CODES = {0, 1, 2, 4, 5}

COMMANDS = (
    "cloud ps",
    "cloud ps --json",
    "cloud report good",
    "cloud report bad",
    "cloud report bad --json",
    "cloud watch bad",
    "cloud logs bad",
    "cloud prune bad --dry-run",
    "cloud prune bad --dry-run --json",
    "cloud pin bad 200",
    "cloud unpin bad 200",
    "cloud pull-checkpoints bad --to pulled",
    "cloud pull-checkpoints bad --best --json --to best",
    "export bad --format peft --to exported",
    "store check",
    "store check --json --read-data",
    "cloud report",
    "cloud reap --dry-run",
    "cloud reap --dry-run --json",
    "cloud reap --no-input",
    "cloud stop bad",
    "cloud down bad",
    "cloud reap --yes",
    "cloud ps",
)


def fintts(command: str, store: Path, equipment: Equipment) -> Result:
    place = [str(store)] if command.startswith("store ") else ["--store", str(store)]
    return invoke([*command.split(), *place], obj=equipment)


@pytest.fixture
def equipment() -> Equipment:
    """In the cloud, an instance has the damaged run's name."""
    damaged = Cluster(f"fintts-{hostile_stores.BAD}", START.timestamp())
    return equipment_with(FakeSky(clusters=[damaged]))


def test_there_are_many_kinds() -> None:
    assert len(hostile_stores.KINDS) >= 60


@pytest.mark.parametrize("kind", hostile_stores.KINDS)
def test_no_store_hurts_its_reader(
    kind: str, own_folder: Path, tmp_path: Path, equipment: Equipment
) -> None:
    store = hostile_stores.make(kind, tmp_path / "stores")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for command in COMMANDS:
        with hostile_stores.within(SECONDS):
            found = fintts(command, store, equipment)
        told = f"{command}: {found.output!r}"
        assert found.exception is None or isinstance(found.exception, SystemExit), (
            told,
            found.exception,
        )
        assert found.exit_code in CODES, told
        assert "Traceback" not in found.output, told
        assert not hostile_stores.CONTROL.search(found.output), told
        if command.startswith("cloud ps"):
            assert "good" in found.stdout, told
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KIB
    written = sum(path.stat().st_size for path in own_folder.rglob("*") if path.is_file())
    assert written < 10**6
