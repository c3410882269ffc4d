"""S1-mini's depth, 28 + 4 layers, in small: what `benchmarks/gpu.py` shows at full size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fintts_inputs.base_model.families import read_config
from fintts_inputs.config import LoraConfig
from fintts_trainer.export import merge_folders
from fintts_trainer.families.base import Predictions
from fintts_trainer.families.fish import FishFamily
from fintts_trainer.model.lora import add_adapter, open_adapter, trainable, write_adapter
from fintts_trainer.model.optimizer import AdapterOptimizer
from tiny_fish import answers, utterances, write_fish


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_every_adapter_tensor_moves_and_export_round_trips(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    base = write_fish(tmp_path / "base", dtype, n_layer=28, n_fast_layer=4)
    model = add_adapter(base.load(dtype), base.targets, LoraConfig(), base_name="deep", seed=1)
    before = {name: one.detach().clone() for name, one in trainable(model).items()}
    assert len(before) == 2 * (28 * 7 + 4 * 7 + 3 + 2) == 458, "as many as S1-mini's has"
    optimizer = AdapterOptimizer(trainable(model).values(), 1e-3)
    batch = utterances(base)
    for _ in range(2):  # B is 0 at first, so that A moves from the second step on
        predictions: Predictions = model(batch)
        torch.autograd.backward(
            predictions.losses()["token"].total + predictions.losses()["code"].total
        )
        optimizer.step()
        optimizer.zero_grad()
    still = [name for name, one in trainable(model).items() if torch.equal(one, before[name])]
    assert still == []

    for one in trainable(model).values():
        one.data.mul_(3)  # after two steps an adapter would drown in bfloat16
    (tmp_path / "adapter").mkdir()
    write_adapter(model, tmp_path / "adapter")
    merged = tmp_path / "merged"
    merged.mkdir()
    assert merge_folders(base.folder, tmp_path / "adapter", merged) == 229
    for path in base.folder.iterdir():
        if path.suffix != ".safetensors":
            (merged / path.name).write_bytes(path.read_bytes())
    apart = answers(open_adapter(base.load(dtype), tmp_path / "adapter"), batch).logits()["token"]
    together = answers(FishFamily().open(read_config(merged)).load(dtype), batch).logits()["token"]
    alone = answers(base.load(dtype), batch).logits()["token"]
    size, error = float(apart.abs().max()), float((together - apart).abs().max())
    effect = float((apart - alone).abs().max())
    assert error < (5e-5 if dtype == torch.float32 else 0.05 * size)
    assert effect > (0.1 * size)
