"""A LoRA of Fish Speech's own trainer, to go on from."""

from __future__ import annotations

import json
import pathlib
from pathlib import Path
from typing import Any

import pytest
import torch

from fintts_inputs.base_model.adapter import check_initial_adapter
from fintts_inputs.base_model.families import read_config, read_shape
from fintts_inputs.base_model.files import base_model_files
from fintts_inputs.config import LoraConfig
from fintts_inputs.errors import BaseModelProblem
from fintts_trainer.__main__ import main
from fintts_trainer.export import import_lora
from fintts_trainer.families.fish import FishBase, FishFamily
from fintts_trainer.families.weight_files import read_state_dict
from fintts_trainer.model.lora import open_adapter
from reference_checkpoint import Pairs, merged_by_hand, random_pairs, write_checkpoint
from tiny_csm import write_tiny_csm
from tiny_fish import answers, utterances
from tiny_run import TINY

V15 = TINY.parent / "fish_v15_tiny"
LORA = LoraConfig(rank=4, alpha=8)
SCALE = 2.0


def pairs(kinds: tuple[str, ...] = ("",), rank: int = 4) -> Pairs:
    return random_pairs(read_state_dict(TINY), rank, kinds)


def folder_with(base: Path, folder: Path, state: dict[str, torch.Tensor]) -> FishBase:
    folder.mkdir()
    for name in base_model_files(base):
        (folder / name).write_bytes((base / name).read_bytes())
    torch.save(state, folder / "model.pth")
    return FishFamily().open(read_config(folder))


@pytest.mark.parametrize("folder", [TINY, V15], ids=["s1", "v15"])
def test_it_answers_as_the_reference_s_merged_weights(folder: Path, tmp_path: Path) -> None:
    state = {key: weight.double() for key, weight in read_state_dict(folder).items()}
    found = random_pairs(state, LORA.rank)
    merged = folder_with(folder, tmp_path / "merged", merged_by_hand(state, found, SCALE))
    plain = folder_with(folder, tmp_path / "plain", state)
    checkpoint = write_checkpoint(tmp_path / "reference.ckpt", found)
    (tmp_path / "adapter").mkdir()

    parameters = import_lora(plain.folder, checkpoint, LORA, tmp_path / "adapter")

    assert parameters == plain.shape.lora_parameters(LORA.rank, LORA.targets)
    check_initial_adapter(tmp_path / "adapter", read_shape(plain.folder), LORA)
    adapted = open_adapter(plain.load(torch.float64), tmp_path / "adapter").double()
    batch = utterances(plain)
    wanted, mine = answers(merged.load(torch.float64), batch), answers(adapted, batch)
    alone = answers(plain.load(torch.float64), batch)
    for head, logits in mine.logits().items():
        torch.testing.assert_close(logits, wanted.logits()[head], atol=1e-9, rtol=0)
        assert (logits - alone.logits()[head]).abs().max() > 0.1


def test_a_bare_state_dict_in_bfloat16_is_read_too(tmp_path: Path) -> None:
    state = {
        f"{name}.lora_{which}": half.bfloat16()
        for name, pair in pairs(("attention", "feed_forward")).items()
        for which, half in zip("AB", pair, strict=True)
    }
    torch.save(state, tmp_path / "bare.pth")
    (tmp_path / "adapter").mkdir()
    lora = LoraConfig(rank=4, targets=("mlp", "attention"))
    assert import_lora(TINY, tmp_path / "bare.pth", lora, tmp_path / "adapter") > 0
    check_initial_adapter(tmp_path / "adapter", read_shape(TINY), lora)
    adapted = open_adapter(
        FishFamily().open(read_config(TINY)).load(torch.float32), tmp_path / "adapter"
    )
    kept = {p.dtype for name, p in adapted.named_parameters() if "lora_" in name}
    assert kept == {torch.float32}


def refused(checkpoint: Path, target: Path, lora: LoraConfig = LORA, base: Path = TINY) -> str:
    target.mkdir(exist_ok=True)
    with pytest.raises(BaseModelProblem) as caught:
        import_lora(base, checkpoint, lora, target)
    assert not list(target.iterdir())
    return f"{caught.value.message} | {caught.value.hint}"


def test_a_checkpoint_that_does_not_fit_is_one_sentence(tmp_path: Path) -> None:
    whole = write_checkpoint(tmp_path / "whole.ckpt", pairs())
    target = tmp_path / "adapter"
    assert "has rank 4, but lora.rank is 8" in refused(whole, target, LoraConfig())
    fewer = LoraConfig(rank=4, targets=("attention", "mlp"))
    assert "set lora.targets to [attention, embeddings, heads, mlp]" in refused(
        whole, target, fewer
    )
    some = write_checkpoint(tmp_path / "some.ckpt", pairs(("attention", "feed_forward")))
    assert "adapts attention, mlp, but lora.targets are" in refused(some, target)
    assert "2 matrices that this base model does not have" in refused(
        write_checkpoint(tmp_path / "more.ckpt", pairs() | deeper()), target
    )
    lacking = {name: pair for name, pair in pairs().items() if name != "layers.1.attention.wo"}
    assert "lacks 1 matrices of the base model; the first is layers.1.attention.wo" in refused(
        write_checkpoint(tmp_path / "lacking.ckpt", lacking), target
    )
    wider = pairs() | {"output": (torch.zeros(4, 99), torch.zeros(7, 4))}
    assert "adapts output by (7, 4) × (4, 99)" in refused(
        write_checkpoint(tmp_path / "wider.ckpt", wider), target
    )
    a, b = pairs()["output"]
    infinite = pairs() | {"output": (a, b / 0)}
    assert "not finite in output" in refused(
        write_checkpoint(tmp_path / "infinite.ckpt", infinite), target
    )


def deeper() -> Pairs:
    generated = {"attention.wo": (64, 64), "feed_forward.w1": (64, 128)}
    return {
        f"layers.9.{name}": (torch.zeros(4, inputs), torch.zeros(outputs, 4))
        for name, (inputs, outputs) in generated.items()
    }


def test_a_file_that_is_no_such_checkpoint_is_one_sentence(tmp_path: Path) -> None:
    target = tmp_path / "adapter"
    torch.save({"state_dict": read_state_dict(TINY)}, tmp_path / "full.ckpt")
    assert "has no LoRA" in refused(tmp_path / "full.ckpt", target)
    torch.save([1, 2], tmp_path / "list.ckpt")
    assert "does not hold weights by name" in refused(tmp_path / "list.ckpt", target)
    torch.save({"state_dict": {"model.output.lora_A": torch.zeros(4, 64)}}, tmp_path / "half.ckpt")
    assert "has only one of lora_A and lora_B of output" in refused(tmp_path / "half.ckpt", target)
    whole = write_checkpoint(tmp_path / "whole.ckpt", pairs())
    (tmp_path / "cut.ckpt").write_bytes(whole.read_bytes()[:5000])
    assert "cut.ckpt cannot be read" in refused(tmp_path / "cut.ckpt", target)
    csm = write_tiny_csm(tmp_path / "csm")
    assert "model of the family csm" in refused(whole, target, base=csm)


class Dangerous:
    """What a checkpoint may hold that runs code on whoever unpickles it."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return (pathlib.Path.touch, (self.witness,))


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    witness = tmp_path / "was_here"
    bad = write_checkpoint(tmp_path / "bad.ckpt", pairs(), hyper_parameters=Dangerous(witness))
    sentence = refused(bad, tmp_path / "adapter")
    assert "contains objects other than weights" in sentence
    assert "save only torch.load(FILE)['state_dict']" in sentence
    assert not witness.exists()
    torch.load(bad, weights_only=False)
    assert witness.exists(), "the trap would have sprung"


def test_the_process_answers_with_one_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write_checkpoint(tmp_path / "whole.ckpt", pairs())
    (tmp_path / "adapter").mkdir()
    command = ["import-lora", "--base", str(TINY), "--checkpoint", str(checkpoint)]
    command += ["--to", str(tmp_path / "adapter"), "--lora"]
    assert main([*command, LoraConfig().model_dump_json()]) == 1
    assert "rank 4" in json.loads(capsys.readouterr().out)["error"]
    assert main([*command, LORA.model_dump_json()]) == 0
    wanted = read_shape(TINY).lora_parameters(4, LORA.targets)
    assert json.loads(capsys.readouterr().out) == {"done": wanted}
