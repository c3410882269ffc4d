"""What is uploaded of a base model: all that the trainer reads, the licence, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fintts_cli.run_inputs import describe_base_model, upload_files
from fintts_store.directory import DirectoryStore
from fintts_trainer.base_files import INDEX
from tiny_run import TINY
from tiny_s2 import SHARDS, write_tiny_s2


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def upload(store: DirectoryStore, folder: Path) -> list[str]:
    told: list[str] = []
    reference = describe_base_model(folder)
    upload_files(store, reference, folder, "the base model", told.append)
    assert told[0].startswith(f"uploading the base model's {reference.files[0].name}, ")
    names = [file.name for file in reference.files]
    assert [entry.key for entry in store.list(reference.prefix)] == sorted(
        reference.prefix + name for name in names
    )
    return sorted(names)


def test_a_folder_of_several_files_is_uploaded_whole(store: DirectoryStore, tmp_path: Path) -> None:
    folder = write_tiny_s2(tmp_path / "s2")
    (folder / "codec.pth").write_bytes(b"the codec is not trained")
    (folder / "LICENSE.md").write_text("as you like it")
    expected = ["LICENSE.md", "config.json", "tokenizer.json", INDEX, *SHARDS]
    assert upload(store, folder) == sorted(expected)


def test_a_licence_makes_it_another_upload(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(TINY, tmp_path / "base"))
    bare = describe_base_model(folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    assert describe_base_model(folder).digest != bare.digest
    assert len(bare.files) == 4
