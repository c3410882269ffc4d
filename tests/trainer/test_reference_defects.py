"""Each defect of the reference trainer, by its name: what it does wrong does not happen here."""

from __future__ import annotations

import dataclasses
import random
import re
import signal
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from peft import PeftModel
from torch import Tensor

from adapters import adapted, held_bytes
from checks import every
from fintts_inputs.config import LoraConfig
from fintts_inputs.errors import BaseModelProblem
from fintts_store.runs.metrics import read_metrics
from fintts_trainer.data import open as open_data
from fintts_trainer.data.batches import collate
from fintts_trainer.data.feed import Feed
from fintts_trainer.export import merge_folders
from fintts_trainer.families.base import Batch, Example, Predictions
from fintts_trainer.families.fish import TARGETS, FishBase
from fintts_trainer.model.lora import add_adapter, read_adapter, trainable, write_adapter
from fintts_trainer.model.recompute import recompute_layers
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.train import train
from tiny_export import write_random_adapter
from tiny_fish import tied
from tiny_run import start_run


def gradients(model: PeftModel, batch: Batch) -> dict[str, Tensor]:
    """Of the loss that is trained with; zero where there is none."""
    model.zero_grad()
    predictions: Predictions = model(batch)
    torch.autograd.backward(
        predictions.losses()["token"].total / 10 + predictions.losses()["code"].total / 40
    )
    parameters = trainable(model).items()
    return {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in parameters}


def test_tied_head_misses_the_embedding_s_lora_while_training(
    base: FishBase, examples: list[Example]
) -> None:
    model = adapted(tied(base), LoraConfig(targets=("embeddings",)))
    batch = collate(examples)
    merged = adapted(tied(base), LoraConfig(targets=("embeddings",)))
    wanted = merged.merge_and_unload()(batch).losses()["token"].total
    torch.testing.assert_close(model(batch).losses()["token"].total, wanted, atol=1e-3, rtol=0)

    # Ids that only the head ever sees, because no sentence has them, learn through it.
    torch.autograd.backward(model(batch).losses()["token"].total)
    unread = torch.ones(base.shape.vocab_size, dtype=torch.bool)
    unread[batch.inputs[:, 0].flatten()] = False
    (name,) = (name for name in trainable(model) if "slow.embed_tokens.lora_embedding_A" in name)
    gradient = trainable(model)[name].grad
    assert gradient is not None
    assert gradient[:, unread].any(dim=0).all()


def test_loss_and_gradients_of_an_adapted_tied_head_are_torch_s(
    base: FishBase, examples: list[Example]
) -> None:
    model, batch = adapted(tied(base)), collate(examples)
    found = gradients(model, batch)
    model.zero_grad()
    plain = plain_loss(model(batch))
    torch.autograd.backward(plain)
    for name, parameter in trainable(model).items():
        torch.testing.assert_close(parameter.grad, found[name], atol=1e-5, rtol=1e-4)


def plain_loss(predictions: Predictions) -> Tensor:
    token = F.cross_entropy(
        predictions.logits()["token"], predictions.token_labels, reduction="sum"
    )
    code_logits = predictions.logits()["code"].flatten(0, 1)
    assert predictions.code_labels is not None
    code = F.cross_entropy(code_logits, predictions.code_labels.flatten(), reduction="sum")
    return token / 10 + code / 40


def test_loss_and_gradients_of_an_adapted_head_are_torch_s(
    base: FishBase, examples: list[Example]
) -> None:
    model, batch = adapted(base.load(torch.float32)), collate(examples)
    found = gradients(model, batch)
    model.zero_grad()
    torch.autograd.backward(plain_loss(model(batch)))
    for name, parameter in trainable(model).items():
        torch.testing.assert_close(parameter.grad, found[name], atol=1e-5, rtol=1e-4)


def test_reentrant_checkpointing_leaves_lora_without_gradient(
    base: FishBase, examples: list[Example]
) -> None:
    config = LoraConfig(targets=("attention", "mlp"))
    plain, recomputing = adapted(base.load(torch.float32), config), None
    recomputing = adapted(base.load(torch.float32), config)
    recompute_layers(recomputing)
    batch = collate(examples)
    wanted, found = gradients(plain, batch), gradients(recomputing, batch)
    assert [name for name, gradient in found.items() if not gradient.any()] == []
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[name], atol=1e-6, rtol=1e-5)


def test_checkpointing_holds_less(base: FishBase, examples: list[Example]) -> None:
    model, batch = adapted(base.load(torch.float32)), collate(examples)
    before = held_bytes(model, batch)
    recompute_layers(model)
    assert held_bytes(model, batch) < before / 2


def test_utterances_in_a_row_attend_to_each_other(base: FishBase, examples: list[Example]) -> None:
    model = adapted(base.load(torch.float32))
    before, after = examples[1], examples[2]
    other = dataclasses.replace(before, tokens=before.tokens.copy())
    other.tokens[1:, other.text_length : -1] = 1
    with torch.no_grad():
        mine = model(collate([before, after])).logits()["token"]
        theirs = model(collate([other, after])).logits()["token"]
    labelled = before.length - before.text_length
    assert not torch.equal(mine[:labelled], theirs[:labelled])
    assert torch.equal(mine[labelled:], theirs[labelled:])


def test_lora_set_up_after_loading_destroys_the_weights(base: FishBase) -> None:
    loaded = base.load(torch.float32).state_dict()
    model = add_adapter(base.load(torch.float32), TARGETS, LoraConfig(), base_name="t", seed=1)
    kept = {
        name.removeprefix("base_model.model.").replace(".base_layer", ""): weight
        for name, weight in model.state_dict().items()
        if "lora_" not in name
    }
    assert kept.keys() == loaded.keys()
    assert every(torch.equal(kept[name], loaded[name]) for name in loaded)


def test_resume_raises_on_stripped_weights(base: FishBase, tmp_path: Path) -> None:
    model = adapted(base.load(torch.float32))
    write_adapter(model, tmp_path)  # the adapter alone: the base's weights are stripped
    resumed = add_adapter(base.load(torch.float32), TARGETS, LoraConfig(), base_name="t", seed=5)
    read_adapter(resumed, tmp_path)
    mine, theirs = trainable(model), trainable(resumed)
    assert every(torch.equal(mine[name], theirs[name]) for name in mine)


def test_merge_re_creates_the_base_and_only_warns_when_nothing_changed(
    base: FishBase, tmp_path: Path
) -> None:
    (tmp_path / "merged").mkdir()
    nothing = add_adapter(base.load(torch.float32), TARGETS, LoraConfig(), base_name="t", seed=1)
    (tmp_path / "nothing").mkdir()
    write_adapter(nothing, tmp_path / "nothing")
    with pytest.raises(BaseModelProblem, match="does not change the base model"):
        merge_folders(base.folder, tmp_path / "nothing", tmp_path / "merged")
    assert not list((tmp_path / "merged").iterdir())

    write_random_adapter(base, tmp_path / "adapter", LoraConfig(targets=("attention",)))
    merge_folders(base.folder, tmp_path / "adapter", tmp_path / "merged")
    before = torch.load(base.folder / "model.pth", weights_only=True)
    after = torch.load(tmp_path / "merged" / "model.pth", weights_only=True)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {key for key in before if re.search(r"\.(wqkv|wo)\.weight$", key)}


QUICK: dict[str, dict[str, Any]] = {
    "training": {"max_steps": 12, "learning_rate": 1e-3},  # 5 steps an epoch
    "validation": {"every": 4, "fraction": 0.2},
    "checkpoints": {"every": 12},
}


def test_validation_on_the_training_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feeds: list[Feed] = []

    class Noting(Feed):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            feeds.append(self)

    monkeypatch.setattr(open_data, "Feed", Noting)
    train(start_run(tmp_path, QUICK).job(), Preemption())
    feed = feeds[-1]
    trained_on = utterances(b for step in feed.steps(0, 12) for b in step.batches)
    held_out = utterances(feed.validation())
    assert len(trained_on) + len(held_out) == 40
    assert len(held_out) > 0
    assert not trained_on & held_out


def utterances(batches: Iterable[Batch]) -> set[bytes]:
    """Each sample without its padding."""
    found: set[bytes] = set()
    for batch in batches:
        for sample in batch.inputs:
            width = int((sample[0] != 0).nonzero().max()) + 1
            found.add(sample[:, :width].numpy().tobytes())
    return found


def test_95_percent_of_tokenisation_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    encode = FishBase.encode

    def counting(self: FishBase, text: str, codes: npt.NDArray[np.int64]) -> Example:
        texts.append(text)
        return encode(self, text, codes)

    monkeypatch.setattr(FishBase, "encode", counting)
    run = start_run(tmp_path, QUICK)
    leave = Preemption()
    leave.signal = signal.SIGTERM
    assert train(run.job(), leave) is None, "a first start, which is preempted"
    assert train(run.job(), Preemption()) is not None, "12 steps of 8, and 4 times 8 held out"
    counted = Counter(text for text in texts if text)
    assert set(counted.values()) == {1}
    assert len(counted) == 40


def test_unseeded_sampling(tmp_path: Path) -> None:
    def losses(name: str, seed: int, noise: int) -> list[float]:
        random.seed(noise)
        np.random.seed(noise)
        torch.manual_seed(noise)
        sections = {**QUICK, "training": {**QUICK["training"], "seed": seed}}
        run = start_run(tmp_path / name, sections)
        train(run.job(), Preemption())
        return [row.values["loss"] for row in read_metrics(run.store, run.name).rows]

    first = losses("first", seed=1, noise=1)
    assert losses("again", seed=1, noise=2) == first
    assert losses("other", seed=2, noise=1)[1:] != first[1:]


def test_no_dense_mask_is_made(
    base: FishBase, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a mask attention takes another way, and reads [T, T] for each head."""
    asked: list[tuple[Tensor | None, bool]] = []
    attention = F.scaled_dot_product_attention

    def noting(
        q: Tensor, k: Tensor, v: Tensor, *, attn_mask: Tensor | None = None, **options: object
    ) -> Tensor:
        asked.append((attn_mask, bool(options.get("is_causal"))))
        return attention(q, k, v, attn_mask, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(F, "scaled_dot_product_attention", noting)
    adapted(base.load(torch.float32))(collate(examples))
    assert len(asked) == base.shape.slow.layers + base.shape.fast.layers
    assert every(mask is None and is_causal for mask, is_causal in asked)
