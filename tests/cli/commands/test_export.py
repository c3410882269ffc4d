"""`fintts export`: whole folders, verified, that PEFT and Fish Speech open, with their licence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import yaml
from peft import PeftModel
from typer.testing import Result

from command_line import invoke
from fintts_cli.checkpoints.card import adapter_card, merged_card
from fintts_cli.checkpoints.export_format import Format
from fintts_cli.checkpoints.export_record import Origin
from fintts_cli.trainer_process import local_trainer
from fintts_inputs.base_model.adapter import OLDEST_PEFT
from fintts_inputs.base_model.families import prompts
from fintts_inputs.base_model.licence import Licence
from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.listing import list_commits
from fintts_store.disk.digest import sha256_of
from fintts_store.runs.runs import read_run
from fintts_trainer.families import open_base
from fintts_trainer.families.weight_files import read_state_dict
from run_samples import manifest, record
from small_disk import small_disk
from tiny_export import write_run
from tiny_run import TINY
from tiny_s2 import SHARDS, write_tiny_s2

CARD = "---\nlicense: cc-by-nc-sa-4.0\nlanguage:\n- fi\n---\n# Tiny\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run on the fixture with a model card, and one on S2's kind without."""
    folder = tmp_path_factory.mktemp("export")
    shutil.copytree(TINY, folder / "base")
    (folder / "base" / "README.md").write_text(CARD)
    write_tiny_s2(folder / "s2")
    store = DirectoryStore(folder / "store")
    write_run(store, folder / "base", folder)
    write_run(store, folder / "s2", folder, run="other")
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> DirectoryStore:
    """A copy of it, to be damaged."""
    shutil.copytree(made / "store", tmp_path / "store")
    return DirectoryStore(tmp_path / "store")


def export(store: DirectoryStore, *arguments: str) -> Result:
    return invoke(["export", *arguments, "--store", store.url])


def exported(store: DirectoryStore, *arguments: str) -> dict[str, object]:
    done = export(store, *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def card(folder: Path) -> dict[str, object]:
    _, head, _ = (folder / "README.md").read_text().split("---\n", 2)
    content: dict[str, object] = yaml.safe_load(head)
    return content


# --- peft ---------------------------------------------------------------------------------------


def test_the_best_adapter_is_what_peft_opens(store: DirectoryStore, own_folder: Path) -> None:
    document = exported(store, "mine", "--format", "peft")
    folder = own_folder / "exports" / "mine-100-peft"
    assert document["to"] == "exports/mine-100-peft"
    assert (document["run"], document["step"], document["licence"]) == (
        "mine",
        100,
        "cc-by-nc-sa-4.0",
    )
    assert names(folder) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "base_model_README.md",
        "fintts_export.json",
    ]
    opened = PeftModel.from_pretrained(open_base(TINY).load(torch.float32), str(folder))
    assert any("lora_A" in name for name, _ in opened.named_parameters())


def test_no_export_lies_in_the_store(store: DirectoryStore) -> None:
    before = names(store.root)
    refused = export(store, "--format", "peft", "--to", str(store.root / "mine"))
    assert refused.exit_code == 2
    assert "is inside the store" in refused.stderr
    assert names(store.root) == before


def test_its_card_says_what_it_is(store: DirectoryStore) -> None:
    exported(store, "mine", "--format", "peft", "--to", "out")
    assert card(Path("out")) == {
        "base_model": "base",
        "license": "cc-by-nc-sa-4.0",
        "library_name": "peft",
        "tags": ["lora", "text-to-speech"],
        "pipeline_tag": "text-to-speech",
    }
    text = Path("out/README.md").read_text()
    said = ("# mine, step 100", "| val/loss | 4.0000 |", "under cc-by-nc-sa-4.0 (says its")
    for words in (*said, f"PEFT {OLDEST_PEFT} or later"):
        assert words in text, words


@pytest.mark.parametrize("card_of", [adapter_card, merged_card])
def test_whatever_a_store_holds_is_a_word_in_its_card(card_of: Callable[..., str]) -> None:
    """Also what a record's own checks refuse: the card does not lean on them."""
    evil = "<img src=x onerror=y>|`[a](javascript:b)"
    base_model = record().base_model.model_copy(update={"name": evil, "digest": evil})
    changes = {"run": evil, "base_model": base_model, "prompt": evil, "fintts_version": evil}
    one = record().model_copy(update=changes)
    of_step = manifest(100, 4.0)
    text = card_of(one, of_step, Licence("other", evil, evil))
    body = text.partition("\n---\n")[2].partition("```python")[0]
    assert "<img" not in body
    assert "[a]" not in body


@pytest.mark.parametrize(
    ("prompt", "row"),
    [
        *((one, f"| prompt | {one}: ") for one in prompts()),
        ("of-later", "| prompt | of-later |"),
        (None, "| prompt | not recorded; a Fish Speech model had &#60;&#124;interleave&#124;&#62;"),
    ],
)
def test_a_card_says_which_prompt_the_adapter_was_trained_with(
    prompt: str | None, row: str
) -> None:
    one, licence = record(prompt=prompt), Licence("mit", "its card")
    for card_of in (adapter_card, merged_card):
        assert row in card_of(one, manifest(100, 4.0), licence)
    assert Origin.of(one, manifest(100, 4.0), Format.PEFT).prompt == prompt


def test_the_card_s_lines_of_python_run(store: DirectoryStore, made: Path) -> None:
    exported(store, "mine", "--format", "peft", "--to", "out")
    text = Path("out/README.md").read_text()
    lines = text.split("```python\n")[1].split("```")[0].replace("'.'", "'out'")
    shutil.copytree(made / "base", "base")
    exec(lines, {})


@pytest.mark.parametrize(
    ("options", "step"), [([], 100), (["--last"], 200), (["--step", "200"], 200)]
)
def test_the_checkpoint_that_is_meant(store: DirectoryStore, options: list[str], step: int) -> None:
    assert exported(store, "mine", "--format", "peft", *options)["step"] == step
    (key,) = [
        e.key
        for e in store.list(layout.checkpoints_prefix("mine"))
        if f"{step:09d}" in e.key and "adapter_model" in e.key
    ]
    file = Path(f"exports/mine-{step}-peft/adapter_model.safetensors")
    assert file.read_bytes() == store.get(key)


def test_the_trainer_s_packages_are_not_needed_for_peft(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_trainer, "find_spec", lambda _name: None)
    exported(store, "mine", "--format", "peft")
    refused = export(store, "mine", "--format", "fish")
    assert refused.exit_code == 2
    assert "the trainer's packages are not installed" in refused.stderr


def test_a_pulled_checkpoint_has_the_same_card(store: DirectoryStore) -> None:
    exported(store, "mine", "--format", "peft", "--to", "out")
    arguments = ["cloud", "pull-checkpoints", "mine", "--best", "--to", "home", "--store"]
    assert invoke([*arguments, store.url]).exit_code == 0
    pulled = Path("home/checkpoint-100/README.md")
    assert pulled.read_text() == Path("out/README.md").read_text()
    pulled.write_text("my own words")
    assert invoke([*arguments, store.url]).exit_code == 0
    assert pulled.read_text() == "my own words"


def test_a_damaged_run_json_costs_a_pulled_checkpoint_its_card_alone(store: DirectoryStore) -> None:
    store.put(layout.run_json_key("mine"), b"{}")
    arguments = ["cloud", "pull-checkpoints", "mine", "--best", "--to", "home", "--store"]
    assert invoke([*arguments, store.url]).exit_code == 0
    assert "adapter_model.safetensors" in names(Path("home/checkpoint-100"))


# --- fish ---------------------------------------------------------------------------------------


def test_fish_has_the_base_model_s_files_with_other_weights(
    store: DirectoryStore, made: Path
) -> None:
    document = exported(store, "mine", "--format", "fish", "--to", "out")
    out = Path("out")
    assert names(out) == [
        "README.md",
        "base_model_README.md",
        "config.json",
        "fintts_export.json",
        "model.pth",
        "special_tokens.json",
        "tokenizer.tiktoken",
    ]
    for name in ("config.json", "special_tokens.json", "tokenizer.tiktoken"):
        assert (out / name).read_bytes() == (TINY / name).read_bytes()
    before, after = read_state_dict(TINY), read_state_dict(out)
    assert before.keys() == after.keys()
    assert not torch.equal(before["output.weight"], after["output.weight"])
    assert card(out)["base_model_relation"] == "finetune"
    files = document["files"]
    assert isinstance(files, list)
    assert {file["name"]: file["sha256"] for file in files} == {
        name: sha256_of(out / name) for name in names(out) if name != "fintts_export.json"
    }
    assert not list(Path().glob(".tmp-*"))


def test_an_unknown_licence_is_said(store: DirectoryStore) -> None:
    assert exported(store, "other", "--format", "peft", "--to", "out")["licence"] == "unknown"
    assert "Check it at the source" in Path("out/README.md").read_text()


def test_the_base_model_may_come_from_a_folder_of_several_files(
    store: DirectoryStore, made: Path
) -> None:
    store.delete(read_run(store, "other").base_model.prefix + SHARDS[0])
    gone = export(store, "other", "--format", "fish")
    assert gone.exit_code == 1
    assert "no longer has the base model" in gone.stderr
    assert "--base DIR" in gone.stderr
    assert not Path("exports/other-100-fish").exists()
    exported(store, "other", "--format", "fish", "--to", "out", "--base", str(made / "s2"))
    assert {*SHARDS, "model.safetensors.index.json", "tokenizer.json"} < set(names(Path("out")))
    open_base(Path("out")).load(torch.float32)


def test_another_base_model_is_refused_by_its_files(store: DirectoryStore, tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path / "base")
    weights = tmp_path / "base" / "model.pth"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    for name in ("peft", "fish"):
        refused = export(store, "mine", "--format", name, "--base", str(tmp_path / "base"))
        assert refused.exit_code == 2
        assert "is not the base model of run mine: model.pth differs" in refused.stderr


@pytest.mark.parametrize("name", ["model.pth", "LICENSE"])
def test_a_link_out_of_the_base_model_s_folder_is_refused(
    store: DirectoryStore, made: Path, tmp_path: Path, name: str
) -> None:
    base = Path(shutil.copytree(made / "base", tmp_path / "base"))
    elsewhere = tmp_path / "elsewhere"
    (base / name).rename(elsewhere) if (base / name).exists() else elsewhere.write_text("private")
    (base / name).symlink_to(elsewhere)
    refused = export(
        store, "mine", "--format", "peft", "--base", str(base), "--to", str(tmp_path / "out")
    )
    assert f"{name} in {base} is a link out of the folder" in " ".join(refused.stderr.split())
    assert not (tmp_path / "out").exists()


def test_a_damaged_base_model_in_the_store_is_refused(store: DirectoryStore) -> None:
    key = read_run(store, "mine").base_model.prefix + "config.json"
    store.put(key, store.get(key) + b" ")
    for name in ("peft", "fish"):
        refused = export(store, "mine", "--format", name)
        assert refused.exit_code == 5
        assert "config.json" in refused.stderr
        assert "is damaged" in refused.stderr


def test_what_cannot_be_merged_leaves_nothing_behind(store: DirectoryStore) -> None:
    name = list_commits(store, "mine")[0]
    manifest_key = layout.commit_key("mine", name)
    manifest = json.loads(store.get(manifest_key))
    del manifest["self_sha256"]
    config = next(f for f in manifest["files"] if f["name"] == "adapter_config.json")
    config["sha256"], config["size_bytes"] = sha256_of(_put_text(store, name, "{")), 1
    store.put(manifest_key, json.dumps(manifest).encode())
    refused = export(store, "mine", "--format", "fish", "--step", str(name.step), "--json")
    assert refused.exit_code == 1
    assert "is not JSON" in json.loads(refused.stderr.splitlines()[-1])["error"]
    assert names(Path("exports")) == []


def _put_text(store: DirectoryStore, name: layout.CommitName, text: str) -> Path:
    key = layout.checkpoint_prefix("mine", name) + "adapter_config.json"
    store.put(key, text.encode())
    return Path(store.url) / key


# --- where to -----------------------------------------------------------------------------------


def test_the_same_export_is_not_made_again(store: DirectoryStore) -> None:
    exported(store, "mine", "--format", "peft", "--to", "out")
    before = Path("out/README.md").stat().st_mtime_ns
    Path("out/codec.pth").write_bytes(b"put there by the user")
    again = export(store, "mine", "--format", "peft", "--to", "out")
    assert again.exit_code == 0
    assert "exists already, verified" in again.stderr
    assert Path("out/README.md").stat().st_mtime_ns == before
    assert Path("out/codec.pth").exists()


@pytest.mark.parametrize("kind", ["another", "changed", "foreign", "file"])
def test_something_else_is_not_overwritten(store: DirectoryStore, kind: str) -> None:
    out = Path("out")
    if kind == "file":
        out.write_text("mine")
    elif kind == "foreign":
        out.mkdir()
        (out / "note.txt").write_text("mine")
    else:
        exported(store, "mine", "--format", "peft", "--to", "out")
    if kind == "changed":
        (out / "adapter_model.safetensors").write_bytes(b"mine")
    options = ["--last"] if kind == "another" else []
    refused = export(store, "mine", "--format", "peft", "--to", "out", *options)
    assert refused.exit_code == 2
    assert "out exists and is not this export of run mine" in refused.stderr
    assert "--to" in refused.stderr


def test_an_empty_folder_is_filled(store: DirectoryStore) -> None:
    Path("out").mkdir()
    exported(store, "mine", "--format", "peft", "--to", "out")
    assert "README.md" in names(Path("out"))


@pytest.fixture(name="small_disk")
def _small_disk(own_folder: Path) -> Iterator[Path]:
    with small_disk(own_folder / "disk", "64k") as folder:
        yield folder


@pytest.mark.parametrize("name", ["peft", "fish"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    store: DirectoryStore, small_disk: Path, name: str
) -> None:
    refused = export(store, "mine", "--format", name, "--to", "disk/out")
    assert refused.exit_code == 5
    assert refused.stderr.splitlines()[-1].startswith("hint: free some space")
    assert names(small_disk) == []


def test_last_and_step_exclude_each_other(store: DirectoryStore) -> None:
    refused = export(store, "mine", "--format", "peft", "--last", "--step", "100")
    assert refused.exit_code == 2
    assert "exclude each other" in refused.stderr


def test_a_step_that_is_not_there_is_named(store: DirectoryStore) -> None:
    refused = export(store, "mine", "--format", "peft", "--step", "7")
    assert refused.exit_code == 2
    assert "of steps 100, 200" in refused.stderr


def test_a_format_is_needed(store: DirectoryStore) -> None:
    refused = export(store, "mine")
    assert refused.exit_code == 2
    assert "--format" in refused.stderr


def test_quiet_says_only_where_it_is(store: DirectoryStore) -> None:
    done = export(store, "mine", "--format", "peft", "--quiet")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "exports/mine-100-peft\n"
