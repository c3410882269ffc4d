"""Links in the folders of a base model and of an adapter: none leads to somebody else's files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fintts_inputs.base_model.adapter import ADAPTER_CONFIG, ADAPTER_FILE, check_initial_adapter
from fintts_inputs.base_model.families import read_shape
from fintts_inputs.base_model.files import base_model_files
from fintts_inputs.config import LoraConfig
from fintts_inputs.errors import BaseModelProblem
from tiny_run import TINY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "base"))


def lead_out(path: Path, target: Path) -> None:
    """Moves a file elsewhere, and leaves a link to it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.rename(target)
    else:
        target.write_text("of somebody else")
    path.symlink_to(target)


@pytest.mark.parametrize("name", ["config.json", "model.pth", "tokenizer.tiktoken", "LICENSE"])
def test_a_link_out_of_a_base_model_s_folder_is_named(folder: Path, name: str) -> None:
    lead_out(folder / name, folder.parent / "outside" / name)
    with pytest.raises(BaseModelProblem, match=f"{name} in .*base is a link out of the folder"):
        base_model_files(folder)


def test_a_link_within_the_folder_is_followed(folder: Path) -> None:
    lead_out(folder / "model.pth", folder / "weights" / "model.pth")
    assert "model.pth" in base_model_files(folder)


def test_the_cache_of_hugging_face_consists_of_links_into_its_blobs(tmp_path: Path) -> None:
    model = tmp_path / "hub" / "models--me--tiny"
    snapshot = Path(shutil.copytree(TINY, model / "snapshots" / "0a1b"))
    for path in list(snapshot.iterdir()):
        blob = model / "blobs" / f"{len(path.name):064}{path.name}"
        blob.parent.mkdir(exist_ok=True)
        path.rename(blob)
        path.symlink_to(Path("../../blobs") / blob.name)
    assert "model.pth" in base_model_files(snapshot)
    another = tmp_path / "hub" / "models--you--private" / "blobs" / "77"
    (snapshot / "model.pth").unlink()
    lead_out(snapshot / "model.pth", another)
    with pytest.raises(BaseModelProblem, match=r"model\.pth in .* is a link out of the folder"):
        base_model_files(snapshot)


@pytest.mark.parametrize("name", [ADAPTER_CONFIG, ADAPTER_FILE])
def test_a_link_out_of_an_adapter_s_folder_is_named(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    lead_out(folder / name, tmp_path / "outside" / name)
    with pytest.raises(BaseModelProblem, match=f"{name} in .*adapter is a link out of the folder"):
        check_initial_adapter(folder, read_shape(TINY), LoraConfig())
