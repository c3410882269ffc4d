"""A run that begins with an adapter: of an earlier run, or of Fish Speech's own trainer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from cli_project import Shell, write_project
from fintts_store.backends.directory import DirectoryStore
from fintts_store.backends.marker import MARKER
from fintts_store.layout import PROMISE
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.runs import read_run
from fintts_trainer.families.weight_files import read_state_dict
from reference_checkpoint import random_pairs, write_checkpoint
from tiny_run import TINY

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(900)]

SHORT = {"FINTTS_TRAINING__MAX_STEPS": "6"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the run `first`, whose last checkpoint is in `home`."""
    shell = Shell(write_project(tmp_path_factory.mktemp("trained") / "project", patience=9))
    done = shell("train", "--name", "first", **SHORT)
    assert done.returncode == 0, done.stderr
    assert shell("cloud", "pull-checkpoints", "first", "--last", "--to", "home").returncode == 0
    return shell.project


@pytest.fixture
def shell(trained: Path, tmp_path: Path) -> Shell:
    """In a project of the same content."""
    return Shell(Path(shutil.copytree(trained, tmp_path / "project")))


def losses(shell: Shell, run: str) -> dict[int, float]:
    """Step → held-out loss."""
    rows = read_metrics(DirectoryStore(shell.project / "store"), run).rows
    return {row.step: row.values["loss"] for row in rows if row.kind == "validation"}


def begin_with(shell: Shell, adapter: str | Path) -> None:
    file = shell.project / "fintts.yaml"
    file.write_text(file.read_text() + f"initial_adapter: {adapter}\n")


def test_a_run_goes_on_from_the_adapter_of_another(shell: Shell, tmp_path: Path) -> None:
    begin_with(shell, "home/checkpoint-6")
    done = shell("train", "--name", "second", **SHORT)
    assert done.returncode == 0, done.stderr
    assert "the initial adapter's adapter_model.safetensors" in done.stderr
    first, second = losses(shell, "first"), losses(shell, "second")
    assert second[0] == pytest.approx(first[6], rel=1e-6)
    assert first[0] - second[0] > 0.05, "the first run had learnt something"

    (shell.project / "home" / "checkpoint-6").rename(tmp_path / "elsewhere")
    gone = shell("train", "--name", "third", **SHORT)
    assert gone.returncode == 2
    assert "initial_adapter: there is no" in gone.stderr

    # The run goes on with the same weights, wherever they lie, and with no others.
    longer = {"FINTTS_TRAINING__MAX_STEPS": "9"}
    moved = {"FINTTS_INITIAL_ADAPTER": str(tmp_path / "elsewhere")}
    again = shell("train", "--name", "second", "--force", **longer, **moved)
    assert again.returncode == 0, again.stderr
    pulled = shell("cloud", "pull-checkpoints", "second", "--step", "3", "--to", "home")
    assert pulled.returncode == 0, pulled.stderr
    others = {"FINTTS_INITIAL_ADAPTER": "home/checkpoint-3"}
    longer = {"FINTTS_TRAINING__MAX_STEPS": "12"}
    other = shell("train", "--name", "second", "--force", **others, **longer)
    assert other.returncode == 2
    assert "initial_adapter: its weights" in other.stderr


def test_a_run_goes_on_from_a_lora_of_the_reference_trainer(shell: Shell) -> None:
    pairs = random_pairs(read_state_dict(TINY), rank=2)
    write_checkpoint(shell.project / "reference.ckpt", pairs)
    begin_with(shell, "reference.ckpt")
    done = shell("train", "--name", "mine", **SHORT)
    assert done.returncode == 0, done.stderr
    record = read_run(DirectoryStore(shell.project / "store"), "mine")
    assert record.initial_adapter is not None
    assert record.initial_adapter.name == "reference.ckpt"
    second = shell("train", "--name", "second", **SHORT)
    assert second.returncode == 0, second.stderr  # PEFT's files differ, the weights do not
    assert losses(shell, "second") == losses(shell, "mine")
    file = shell.project / "fintts.yaml"
    file.write_text(file.read_text().replace("initial_adapter: reference.ckpt\n", ""))
    assert abs(losses(shell, "mine")[0] - losses(shell, "first")[0]) > 0.01
    without = shell("train", "--name", "mine", "--force", FINTTS_TRAINING__MAX_STEPS="9")
    assert without.returncode == 2
    assert "run mine started with another configuration: initial_adapter: its weights" in (
        without.stderr
    )


def spoil(folder: Path, **values: object) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def files_in(store: Path) -> set[str]:
    return {path.name for path in store.rglob("*") if path.is_file()}


def test_an_adapter_that_does_not_fit_is_refused_before_anything_is_uploaded(
    shell: Shell, tmp_path: Path
) -> None:
    adapter = shell.project / "home" / "checkpoint-6"
    begin_with(shell, "bad")

    def refused(**environment: str) -> str:
        elsewhere = {**SHORT, "FINTTS_STORE": "another", **environment}
        done = shell("train", "--name", "second", **elsewhere)
        assert done.returncode in (1, 2), done.stderr
        assert "Traceback" not in done.stderr
        assert files_in(shell.project / "another") <= {MARKER, PROMISE}, "nothing is uploaded"
        shutil.rmtree(shell.project / "bad", ignore_errors=True)
        return done.stderr

    bad = shell.project / "bad"
    shutil.copytree(adapter, bad)
    assert "has alpha 16, but lora.alpha is 32" in refused(FINTTS_LORA__ALPHA="32")
    shutil.copytree(adapter, bad)
    assert "has rank 2, but lora.rank is 4" in refused(FINTTS_LORA__RANK="4")
    shutil.copytree(adapter, bad)
    assert "of lora.targets (attention) on this base model" in refused(
        FINTTS_LORA__TARGETS="attention"
    )
    shutil.copytree(adapter, bad)
    spoil(bad, init_lora_weights="pissa")
    assert "was initialised with PiSSA" in refused()
    shutil.copytree(adapter, bad)
    spoil(bad, peft_type="IA3")
    assert "no other kind of adapter can be trained further" in refused()
    shutil.copytree(adapter, bad)
    weights = bad / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    assert "adapter_model.safetensors is not a complete safetensors file" in refused()
    bad.mkdir()
    assert "there is no adapter in" in refused()
    bad.write_text("no checkpoint")
    assert "is not a complete torch.save file" in refused()
    bad.unlink()

    shutil.copytree(adapter, bad)
    base = Path(shutil.copytree(TINY, tmp_path / "other"))
    state = read_state_dict(base)
    torch.save({**state, "norm.weight": state["norm.weight"] + 1}, tmp_path / "model.pth")
    (tmp_path / "model.pth").replace(base / "model.pth")
    assert "was trained on another base model than other" in refused(FINTTS_BASE_MODEL=str(base))
