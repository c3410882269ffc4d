"""Which names a file may have that goes into the store or comes out of it: a closed list."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.errors import CheckpointCorrupt, InvalidRecord
from fintts_store.file_names import CHECKPOINT, is_weights_name, odd_in_base_model
from fintts_store.runs.claims import take_claim
from fintts_store.runs.run_record import AdapterRef, BaseModelRef, DatasetRef, FileRef
from fintts_store.runs.runs import create_run, read_run
from run_samples import manifest, record

FORBIDDEN = [
    *("torch.py", "random.py", "typer.pyi", "sitecustomize.py", "torch.so", "torch.pyc", "x.pth"),
    *("torch", "__init__.py", "setup.cfg", "pyproject.toml", "conftest.py", "fintts.yaml"),
    *(".adapter_model.safetensors", ".env", ".git", "._config.json", "~.safetensors"),
    *("CON.safetensors", "nul.safetensors", "com1.x.safetensors", "aux.safetensors.index.json"),
    *("a/../config.json", "..", "", "a\\b.safetensors", "config.json ", "config.json.", "a\n.json"),
    *("Adapter_Model.safetensors.py", "config.json:stream", "é.safetensors", "x" * 200 + ".json"),
]
MODEL = ("config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json")


def refs(*names: str) -> list[dict[str, object]]:
    return [{"name": name, "size_bytes": 1, "sha256": "0" * 64} for name in names]


@pytest.mark.parametrize("name", [*FORBIDDEN, "ADAPTER_MODEL.SAFETENSORS", "model.safetensors"])
def test_no_manifest_names_such_a_file(name: str) -> None:
    content = json.loads(manifest(100, 4.0).dump()) | {"files": refs("adapter_config.json", name)}
    with pytest.raises(InvalidRecord):
        Manifest.load(json.dumps(content))
    content["files"] = refs(*sorted(CHECKPOINT))
    assert len(Manifest.load(json.dumps(content)).files) == 4


@pytest.mark.parametrize("name", FORBIDDEN)
def test_no_record_of_a_run_names_such_a_file(name: str) -> None:
    model = {"name": "tiny", "prefix": "base_models/00/", "digest": "0"}
    with pytest.raises(ValidationError):
        BaseModelRef.model_validate({**model, "files": refs("config.json", name)})
    assert BaseModelRef.model_validate({**model, "files": refs(*MODEL)})
    adapter = {"name": "tiny", "prefix": "adapters/00/", "weights_sha256": "0" * 64}
    with pytest.raises(ValidationError):
        AdapterRef.model_validate({**adapter, "files": refs("adapter_config.json", name)})
    data = {"sha256": "0", "size_bytes": 1, "utterances": 1, "frames": 1}
    with pytest.raises(ValidationError):
        DatasetRef.model_validate({**data, "key": f"datasets/{name}"})
    assert DatasetRef.model_validate({**data, "key": f"datasets/{'0' * 64}.safetensors"})


def test_two_names_that_some_disks_take_for_one() -> None:
    assert odd_in_base_model(["Model.safetensors", "model.safetensors"]) == ["model.safetensors"]
    assert odd_in_base_model([*MODEL, "README.md", "LICENSE"]) == []
    assert odd_in_base_model(["readme.md"]) == ["readme.md"]


@pytest.mark.parametrize(
    "name", ["model.safetensors", "consolidated.safetensors", "a.b-1_2.safetensors"]
)
def test_weights_are_called_as_their_maker_likes(name: str) -> None:
    assert is_weights_name(name)
    assert is_weights_name(f"{name}.index.json")


def test_a_folder_with_such_a_file_is_not_committed(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "torch.py").write_text("")
    committer = Committer(
        store, "mine", take_claim(store, "mine", "me"), keep_last=1, keep_best=True
    )
    with pytest.raises(CheckpointCorrupt, match=r"holds 'torch\.py'") as refused:
        committer.commit(folder, CheckpointFacts(100, "c", "b", "val/loss", "min", 4.0))
    assert "adapter_config.json" in refused.value.hint
    assert list(store.list(layout.checkpoints_prefix("mine"))) == []


def test_a_manifest_that_somebody_wrote_is_damaged_and_hides_no_other(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    create_run(store, record(run="mine"))
    for step, name in ((100, "adapter_model.safetensors"), (200, "torch.py")):
        one = json.loads(manifest(step, 4.0).model_dump_json()) | {
            "run": "mine",
            "files": refs(name),
        }
        written = layout.CommitName(one["claim"], step, one["id"])
        store.put(layout.commit_key("mine", written), json.dumps(one).encode())
    odd: list[str] = []
    found = list_manifests(store, "mine", on_unreadable=lambda _, error: odd.append(error.message))
    assert [one.step for one in found] == [100]
    assert len(odd) == 1
    assert "'torch.py' is not the name of a checkpoint file" in odd[0]
    assert read_run(store, "mine").run == "mine"


def test_what_is_described_here_is_checked_in_the_same_place() -> None:
    file = FileRef(name="torch.py", size_bytes=1, sha256="0" * 64)
    with pytest.raises(ValidationError, match=r"'torch\.py' is not the name of a file of a base"):
        BaseModelRef(name="tiny", prefix="base_models/00/", digest="0", files=(file,))
