"""Merged weights: base plus adapter, in the base model's own files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fintts_inputs.base_model.adapter import ADAPTER_FILE
from fintts_inputs.base_model.families import read_config
from fintts_inputs.base_model.files import INDEX, base_model_files, weight_files
from fintts_inputs.config import LoraConfig
from fintts_inputs.errors import BaseModelProblem
from fintts_store.errors import StoreFull
from fintts_trainer.export import merge_folders, print_outcome
from fintts_trainer.families.fish import FishBase, FishFamily
from fintts_trainer.families.weight_files import read_state_dict
from fintts_trainer.model.lora import add_adapter, open_adapter, write_adapter
from small_disk import small_disk
from tiny_csm import write_tiny_csm
from tiny_export import write_random_adapter
from tiny_fish import answers, utterances
from tiny_run import TINY
from tiny_s2 import SHARDS, write_tiny_s2

V15 = TINY.parent / "fish_v15_tiny"


def in_float32(base: Path, folder: Path) -> Path:
    """The base model with its weights in float32, in a new folder."""
    folder.mkdir()
    for name in base_model_files(base):
        (folder / name).write_bytes((base / name).read_bytes())
    state = {key: weight.float() for key, weight in read_state_dict(base).items()}
    torch.save(state, folder / "model.pth")
    return folder


@pytest.fixture(params=["s1", "v15", "s2", "s2-fast-norm"])
def base_in_float32(request: pytest.FixtureRequest, tmp_path: Path) -> FishBase:
    """Each kind of base model."""
    folder = tmp_path / "base32"
    if request.param.startswith("s2"):
        fast_norm = request.param.endswith("norm")
        return FishFamily().open(
            read_config(write_tiny_s2(folder, torch.float32, fast_norm=fast_norm))
        )
    return FishFamily().open(
        read_config(in_float32(TINY if request.param == "s1" else V15, folder))
    )


def merged(base: FishBase, adapter: Path, target: Path) -> Path:
    """Merges, and completes the folder as the command does."""
    target.mkdir()
    merge_folders(base.folder, adapter, target)
    for name in set(base_model_files(base.folder)) - set(weight_files(base.folder)):
        (target / name).write_bytes((base.folder / name).read_bytes())
    return target


def test_it_answers_as_base_and_adapter_do(base_in_float32: FishBase, tmp_path: Path) -> None:
    base = base_in_float32
    write_random_adapter(base, tmp_path / "adapter")
    adapted, batch = open_adapter(base.load(torch.float32), tmp_path / "adapter"), utterances(base)
    whole = FishFamily().open(read_config(merged(base, tmp_path / "adapter", tmp_path / "merged")))
    apart, together = answers(adapted, batch), answers(whole.load(torch.float32), batch)
    alone = answers(base.load(torch.float32), batch)
    for head, expected in apart.logits().items():
        found = together.logits()[head]
        torch.testing.assert_close(found, expected, atol=5e-5, rtol=0)
        assert (found - alone.logits()[head]).abs().max() > 1e-2


def test_keys_shapes_and_types_are_the_base_model_s(tmp_path: Path) -> None:
    base = FishFamily().open(read_config(TINY))
    write_random_adapter(base, tmp_path / "adapter")
    target = merged(base, tmp_path / "adapter", tmp_path / "merged")
    before = torch.load(TINY / "model.pth", weights_only=True)
    after = torch.load(target / "model.pth", weights_only=True)
    assert list(after) == list(before)
    for key, weight in before.items():
        assert type(after[key]) is torch.Tensor
        assert (after[key].shape, after[key].dtype) == (weight.shape, weight.dtype), key
    difference = (target / "model.pth").stat().st_size - (TINY / "model.pth").stat().st_size
    assert abs(difference) < 20_000, "nothing is written that is not a weight"


def test_a_weight_is_written_without_what_it_is_a_part_of(tmp_path: Path) -> None:
    base = FishFamily().open(read_config(in_float32(TINY, tmp_path / "base")))
    write_random_adapter(base, tmp_path / "adapter")
    state = read_state_dict(base.folder)
    larger = torch.ones(1_000_000)
    torch.save({**state, "norm.weight": larger[:64]}, base.folder / "new.pth")
    (base.folder / "new.pth").replace(base.folder / "model.pth")  # the old one is mapped
    target = merged(base, tmp_path / "adapter", tmp_path / "merged")
    saved_bytes = sum(weight.nbytes for weight in state.values())
    assert (base.folder / "model.pth").stat().st_size > saved_bytes + larger.nbytes
    assert (target / "model.pth").stat().st_size < saved_bytes + larger.nbytes / 10


def test_every_matrix_with_an_adapter_changes_and_no_other_weight(tmp_path: Path) -> None:
    base = FishFamily().open(read_config(TINY))
    write_random_adapter(base, tmp_path / "adapter")
    after = read_state_dict(merged(base, tmp_path / "adapter", tmp_path / "merged"))
    same = {key for key, weight in read_state_dict(TINY).items() if torch.equal(weight, after[key])}
    assert same == {key for key in after if "norm" in key}


@pytest.mark.parametrize("target", ["attention", "mlp", "embeddings", "heads"])
def test_only_what_the_run_adapted_is_changed(tmp_path: Path, target: str) -> None:
    base = FishFamily().open(read_config(TINY))
    config = LoraConfig.model_validate({"rank": 4, "targets": [target]})
    write_random_adapter(base, tmp_path / "adapter", config)
    after = read_state_dict(merged(base, tmp_path / "adapter", tmp_path / "merged"))
    changed = {
        k for k, weight in read_state_dict(TINY).items() if not torch.equal(weight, after[k])
    }
    parts = {
        "attention": ("wqkv", "wo"),
        "mlp": ("feed_forward",),
        "embeddings": ("embeddings",),
        "heads": ("output",),
    }[target]
    assert changed == {key for key in after if any(part in key for part in parts)}


def test_shards_stay_as_they_are_divided(tmp_path: Path) -> None:
    base = FishFamily().open(read_config(write_tiny_s2(tmp_path / "s2")))
    write_random_adapter(base, tmp_path / "adapter")
    target = merged(base, tmp_path / "adapter", tmp_path / "merged")
    for name in SHARDS:
        before, after = load_file(base.folder / name), load_file(target / name)
        assert after.keys() == before.keys()
        assert {weight.dtype for weight in after.values()} == {torch.bfloat16}
    assert (target / INDEX).read_text() == (base.folder / INDEX).read_text()
    assert not (target / "model.pth").exists()


def test_an_adapter_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    base, folder = FishFamily().open(read_config(TINY)), tmp_path / "adapter"
    folder.mkdir()
    model = base.load(torch.float32)
    write_adapter(add_adapter(model, base.targets, LoraConfig(), base_name="x", seed=1), folder)
    with pytest.raises(BaseModelProblem, match="does not change the base model"):
        merge_folders(TINY, folder, tmp_path)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    base, folder = FishFamily().open(read_config(TINY)), tmp_path / "adapter"
    write_random_adapter(base, folder)
    weights = load_file(folder / ADAPTER_FILE)
    name = next(name for name in sorted(weights) if "fast_head.lora_B" in name)
    weights[name][0, 0] = torch.nan
    save_file(weights, folder / ADAPTER_FILE)
    with pytest.raises(
        BaseModelProblem, match=r"fast_head\.weight would have values that are not finite"
    ):
        merge_folders(TINY, folder, tmp_path)


def test_an_adapter_of_another_base_model_is_refused(tmp_path: Path) -> None:
    content = json.loads((TINY / "config.json").read_text())
    other = Path(tmp_path / "other")
    write_random_adapter(FishFamily().open(read_config(TINY)), tmp_path / "adapter")
    in_float32(TINY, other)
    state = {
        k: torch.cat([w, w]) if "embeddings" in k and "fast" not in k and "book" not in k else w
        for k, w in read_state_dict(other).items()
    }
    state["output.weight"] = torch.cat([state["output.weight"]] * 2)
    torch.save(state, other / "new.pth")
    (other / "new.pth").replace(other / "model.pth")
    (other / "config.json").write_text(json.dumps(content | {"vocab_size": 704}))
    with pytest.raises(BaseModelProblem, match="does not fit: size mismatch for") as caught:
        merge_folders(other, tmp_path / "adapter", tmp_path)
    assert "\n" not in caught.value.message


def test_a_damaged_adapter_is_one_sentence(tmp_path: Path) -> None:
    write_random_adapter(FishFamily().open(read_config(TINY)), tmp_path / "adapter")
    file = tmp_path / "adapter" / ADAPTER_FILE
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(BaseModelProblem, match="cannot be read"):
        merge_folders(TINY, tmp_path / "adapter", tmp_path)
    (tmp_path / "adapter" / "adapter_config.json").write_text("{")
    with pytest.raises(BaseModelProblem, match="is not JSON"):
        merge_folders(TINY, tmp_path / "adapter", tmp_path)


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with less room than the weights need."""
    with small_disk(tmp_path / "disk", "256k") as folder:
        yield folder


@pytest.mark.parametrize("kind", ["s1", "s2"])
def test_a_full_disk_is_one_sentence(tmp_path: Path, small_disk: Path, kind: str) -> None:
    base = FishFamily().open(read_config(TINY if kind == "s1" else write_tiny_s2(tmp_path / "s2")))
    write_random_adapter(base, tmp_path / "adapter")
    with pytest.raises(StoreFull, match=r"no space|No space"):
        merge_folders(base.folder, tmp_path / "adapter", small_disk)


def test_the_process_answers_with_one_document(tmp_path: Path) -> None:
    write_random_adapter(FishFamily().open(read_config(TINY)), tmp_path / "adapter")
    (tmp_path / "merged").mkdir()
    folders: list[str | Path] = ["--adapter", tmp_path / "adapter", "--to", tmp_path / "merged"]
    done = subprocess.run(
        [sys.executable, "-m", "fintts_trainer", "merge", "--base", TINY, *folders],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    linears = 7 * 3 + 7 * 2
    assert json.loads(done.stdout) == {"done": linears + 3 + 2}


def test_an_error_is_one_document_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert print_outcome(lambda: merge_folders(tmp_path / "none", tmp_path, tmp_path)) == 1
    assert "the base model folder" in json.loads(capsys.readouterr().out)["error"]


def test_a_model_of_another_family_is_refused(tmp_path: Path) -> None:
    base = write_tiny_csm(tmp_path / "csm")
    with pytest.raises(BaseModelProblem, match="family csm cannot be written in Fish"):
        merge_folders(base, tmp_path, tmp_path)
