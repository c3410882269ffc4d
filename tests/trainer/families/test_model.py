"""What the model must do whatever its weights: padding, micro-batches, strictness, tied heads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import Embedding

from fintts_inputs.base_model.families import read_config
from fintts_inputs.config import LoraConfig
from fintts_inputs.errors import BaseModelProblem
from fintts_trainer.data.batches import collate
from fintts_trainer.families.base import Example
from fintts_trainer.families.fish import TARGETS, FishBase, FishFamily
from fintts_trainer.families.weight_files import read_state_dict
from fintts_trainer.loop.evaluate import Tally
from fintts_trainer.model.lora import add_adapter
from tiny_fish import tied


def test_padding_does_not_change_a_loss(base: FishBase, examples: list[Example]) -> None:
    model = base.load(torch.float32).eval()
    with torch.no_grad():
        together = Tally.of(model(collate(examples)))
        alone = sum((Tally.of(model(collate([one]))) for one in examples), Tally())
    assert together.tokens == alone.tokens
    assert together.codes == alone.codes
    assert together.token_loss == pytest.approx(alone.token_loss, abs=2e-4)
    assert together.code_loss == pytest.approx(alone.code_loss, abs=2e-4)


def test_counts_of_a_batch_are_those_of_its_predictions(
    base: FishBase, examples: list[Example]
) -> None:
    batch = collate(examples)
    with torch.no_grad():
        tally = Tally.of(base.load(torch.float32)(batch))
    assert batch.label_count == tally.tokens == sum(5 + 3 * n + 1 for n in range(5))
    assert batch.code_count == tally.codes == 4 * sum(5 + 3 * n for n in range(5))


def test_what_looks_like_control_in_a_text_stays_text(base: FishBase) -> None:
    ids = base.tokenizer.encode_text("<|im_end|><|semantic:5|>")
    assert base.tokenizer.end_id not in ids
    assert not any(
        base.tokenizer.semantic_begin_id <= i <= base.tokenizer.semantic_end_id for i in ids
    )


def damaged(folder: Path, change: str) -> None:
    """Rewrites model.pth with one fault."""
    state = dict(read_state_dict(folder))
    if change == "missing":
        del state["layers.1.attention.wo.weight"]
    elif change == "unexpected":
        state["layers.0.attention.lora_A"] = torch.zeros(2)
    elif change == "misshapen":
        state["norm.weight"] = torch.zeros(3)
    torch.save({key: weight.clone() for key, weight in state.items()}, folder / "new.pth")
    (folder / "new.pth").replace(folder / "model.pth")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("missing", "layers.1.attention.wo.weight"),
        ("unexpected", "layers.0.attention.lora_A"),
        ("misshapen", "norm.weight"),
    ],
)
def test_weights_that_do_not_fit_are_named(base_folder: Path, change: str, said: str) -> None:
    damaged(base_folder, change)
    with pytest.raises(BaseModelProblem, match=said):
        FishFamily().open(read_config(base_folder)).load(torch.float32)


def test_a_pickle_in_model_pth_is_not_run(base_folder: Path, tmp_path: Path) -> None:
    torch.save({"norm.weight": tmp_path}, base_folder / "model.pth")
    with pytest.raises(BaseModelProblem, match="cannot be read"):
        FishFamily().open(read_config(base_folder)).load(torch.float32)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.tiktoken", "special_tokens.json"])
@pytest.mark.parametrize("fault", ["missing", "garbage"])
def test_each_file_of_a_base_model_is_needed(base_folder: Path, name: str, fault: str) -> None:
    if fault == "missing":
        (base_folder / name).unlink()
    else:
        (base_folder / name).write_text("{not what it should be")
    with pytest.raises(BaseModelProblem, match=name):
        FishFamily().open(read_config(base_folder))


def test_a_missing_model_file_is_said_before_anything_else(base_folder: Path) -> None:
    (base_folder / "model.pth").unlink()
    with pytest.raises(BaseModelProblem, match=r"no model\.pth"):
        FishFamily().open(read_config(base_folder)).load(torch.float32)


def test_a_tokenizer_larger_than_the_model_is_refused(base_folder: Path) -> None:
    path = base_folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "vocab_size": 300}))
    with pytest.raises(BaseModelProblem, match="the model has 300"):
        FishFamily().open(read_config(base_folder))


def test_a_tied_head_has_the_embedding_s_adapter(base: FishBase, examples: list[Example]) -> None:
    adapted = add_adapter(tied(base), TARGETS, LoraConfig(), base_name="tiny", seed=1)
    give_it_something(adapted)
    batch = collate(examples)
    with torch.no_grad():
        apart = adapted(batch).logits()["token"]
        merged = adapted.merge_and_unload()(batch).logits()["token"]
        without = tied(base)(batch).logits()["token"]
    torch.testing.assert_close(apart, merged, atol=5e-5, rtol=0)
    assert (apart - without).abs().max() > 1e-2


def give_it_something(model: PeftModel) -> None:
    """Fills every B, which starts at zero, so that the adapter changes the output."""
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        if parameter.requires_grad:
            with torch.no_grad():
                parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))
    assert any(isinstance(module, Embedding) for module in model.modules())
