"""The adapter: PEFT's own files, float32, deterministic, and no more than an adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig as PeftLoraConfig
from peft import PeftModel
from safetensors.torch import load_file

from adapters import randomise
from checks import every
from fintts_inputs.base_model.adapter import OLDEST_PEFT
from fintts_inputs.config import LoraConfig
from fintts_inputs.errors import BaseModelProblem
from fintts_trainer.data.batches import collate
from fintts_trainer.families.base import Example
from fintts_trainer.families.fish import TARGETS, FishBase
from fintts_trainer.model.lora import (
    add_adapter,
    read_adapter,
    save_adapter,
    trainable,
    write_adapter,
)

FIXTURES = Path(__file__).parents[2] / "trainer/fixtures"


def adapted(base: FishBase, config: LoraConfig | None = None, seed: int = 7) -> PeftModel:
    model = base.load(torch.float32)
    return add_adapter(model, TARGETS, config or LoraConfig(), base_name="tiny", seed=seed)


def test_it_starts_as_a_no_op(base: FishBase, examples: list[Example]) -> None:
    batch = collate(examples)
    with torch.no_grad():
        before = base.load(torch.float32)(batch).logits()["token"]
        after = adapted(base)(batch).logits()["token"]
    torch.testing.assert_close(after, before, atol=0, rtol=0)


@pytest.mark.parametrize(
    "targets",
    [("attention",), ("mlp",), ("embeddings",), ("heads",), ("attention", "mlp"), None],
)
def test_its_size_is_what_the_shape_says(base: FishBase, targets: tuple[str, ...] | None) -> None:
    config = LoraConfig.model_validate({"targets": targets} if targets else {})
    model = adapted(base, config)
    counted = sum(parameter.numel() for parameter in trainable(model).values())
    assert counted == base.shape.lora_parameters(config.rank, config.targets)


def test_the_seed_decides_its_start(base: FishBase) -> None:
    first, again, other = (trainable(adapted(base, seed=seed)) for seed in (7, 7, 8))
    assert every(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_bfloat16_base_gets_a_float32_adapter(base: FishBase) -> None:
    model = add_adapter(
        base.load(torch.bfloat16), base.targets, LoraConfig(), base_name="tiny", seed=1
    )
    assert {parameter.dtype for parameter in trainable(model).values()} == {torch.float32}
    frozen = {p.dtype for p in model.parameters() if not p.requires_grad}
    assert frozen == {torch.bfloat16}


def test_every_adapted_matrix_gets_a_gradient(base: FishBase, examples: list[Example]) -> None:
    model = adapted(base)
    randomise(model)
    predictions = model(collate(examples))
    (predictions.losses()["token"].total + predictions.losses()["code"].total).backward()
    silent = [name for name, p in trainable(model).items() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_peft_alone_opens_it(base: FishBase, examples: list[Example], tmp_path: Path) -> None:
    model = adapted(base)
    randomise(model)
    write_adapter(model, tmp_path)
    opened = PeftModel.from_pretrained(base.load(torch.float32), str(tmp_path))
    batch = collate(examples)
    with torch.no_grad():
        torch.testing.assert_close(
            opened(batch).logits()["token"], model(batch).logits()["token"], atol=0, rtol=0
        )


def test_it_holds_no_base_weights(base: FishBase, tmp_path: Path) -> None:
    model = adapted(base)
    write_adapter(model, tmp_path)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    assert every("lora_" in name for name in weights)
    assert sum(w.numel() for w in weights.values()) == base.shape.lora_parameters(
        8, LoraConfig().targets
    )


def test_it_reads_back_bit_for_bit(base: FishBase, tmp_path: Path) -> None:
    model, other = adapted(base), adapted(base, seed=99)
    randomise(model)
    write_adapter(model, tmp_path)
    read_adapter(other, tmp_path)
    mine, theirs = trainable(model), trainable(other)
    assert every(torch.equal(mine[name], theirs[name]) for name in mine)


def test_an_adapter_of_other_targets_is_refused(base: FishBase, tmp_path: Path) -> None:
    write_adapter(adapted(base, LoraConfig(targets=("attention",))), tmp_path)
    with pytest.raises(BaseModelProblem, match="does not fit"):
        read_adapter(adapted(base), tmp_path)


def test_its_configuration_has_no_key_that_an_older_peft_refuses(
    base: FishBase, tmp_path: Path
) -> None:
    old = json.loads((FIXTURES / f"peft_{OLDEST_PEFT}_lora_config.json").read_text())
    written = {}
    for dropout in (0.0, 0.1):
        write_adapter(adapted(base, LoraConfig(dropout=dropout)), tmp_path)
        written = json.loads((tmp_path / "adapter_config.json").read_text())
        assert written.keys() <= set(old["fields"])
        assert written["lora_dropout"] == dropout
    assert written["inference_mode"] is True
    assert written["target_modules"] == sorted({name for t in TARGETS.values() for name in t})
    mine = adapted(base, LoraConfig(dropout=0.1)).peft_config["default"].to_dict()
    opened = PeftLoraConfig.from_pretrained(str(tmp_path)).to_dict()
    assert opened == mine | {"inference_mode": True}


def test_what_is_not_at_its_default_is_written(base: FishBase, tmp_path: Path) -> None:
    config: Any = PeftLoraConfig(target_modules=["a"], use_rslora=True, rank_pattern={"a": 2})
    save_adapter({}, config, tmp_path)
    assert PeftLoraConfig.from_pretrained(str(tmp_path)).to_dict() == (
        config.to_dict() | {"inference_mode": True}
    )
