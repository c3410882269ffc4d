"""The variants of `benchmarks/step.py`, and one step of each on a scaled OpenAudio S1-mini."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch.nn.utils import clip_grad_norm_

from fintts_inputs.base_model.families import read_shape
from fintts_inputs.config import LoraConfig, Target
from fintts_trainer.data.batches import collate
from fintts_trainer.families.base import IGNORE, Batch, Example, Predictions
from fintts_trainer.families.fish import TARGETS
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.model.compiled import compile_layers
from fintts_trainer.model.flat_adapter import FlatAdapter
from fintts_trainer.model.fused_layers import fuse_layers
from fintts_trainer.model.fused_lora import fuse_adapted_linears
from fintts_trainer.model.lora import add_adapter, trainable
from fintts_trainer.model.optimizer import AdapterOptimizer
from fintts_trainer.model.recompute import recompute_layers

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor

SHAPE = read_shape(Path(__file__).with_name("scaled_s1_mini"))
SEMANTIC_BEGIN, END_OF_TEXT = 151_678, 151_645
RATE = 1e-4
BATCH, SHORTEST, LONGEST, FRAMES_PER_TEXT_TOKEN = 4, 100, 500, 3
PEAK_SIZES = ((1024, 1024, 1024), (2048, 2048, 2048), (1600, 384, 1152))

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
INNER: tuple[Target, ...] = ("attention", "mlp")


@dataclass(frozen=True)
class Variant:
    """One way to compute the step."""

    name: str
    recompute: bool = False
    dropout: float = 0.0
    label_rows: bool = True
    buckets: bool = True
    fused: bool = True
    keep_memory: bool = True
    targets: tuple[Target, ...] = INNER
    precision: str = "fp32"
    compiled: bool = False
    fused_lora: bool = True
    flat: bool = True
    """the adapter as one tensor, and fused layers"""


def variants() -> list[Variant]:
    """From the reference trainer to all optimisations, then one change at a time."""
    plainest = Variant(
        "as the reference trainer",
        recompute=True,
        dropout=0.01,
        label_rows=False,
        buckets=False,
        fused=False,
        keep_memory=False,
        fused_lora=False,
        flat=False,
    )
    ladder = [plainest]
    for name, change in (
        ("+ no gradient checkpointing", {"recompute": False}),
        ("+ logits at label rows only", {"label_rows": True}),
        ("+ dropout 0", {"dropout": 0.0}),
        ("+ length buckets", {"buckets": True}),
        ("+ fused cross-entropy", {"fused": True}),
        ("+ freed memory kept", {"keep_memory": True}),
        ("+ one-node LoRA", {"fused_lora": True}),
        ("all: + one tensor, fused layers", {"flat": True}),
    ):
        ladder.append(replace(ladder[-1], name=name, **change))
    every = ladder[-1]
    ends: tuple[Target, ...] = (*INNER, "embeddings", "heads")
    alone = [
        replace(every, name="all, plain cross-entropy", fused=False),
        replace(every, name="all, gradient checkpointing", recompute=True),
        replace(every, name="all, embeddings and heads adapted", targets=ends),
        replace(every, name="all, dropout", dropout=0.05),
        replace(every, name="all, compiled layers", compiled=True),
    ]
    if has_bf16():
        half = replace(every, name="all, bf16", precision="bf16")
        alone += [half, replace(half, name="all, bf16, without the last", flat=False)]
        alone += [replace(half, name="all, bf16, dropout", dropout=0.05)]
    return ladder + alone


def has_bf16() -> bool:
    """Whether the processor has bfloat16 instructions."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.exists() else ""
    return "avx512_bf16" in text or "amx_bf16" in text


@dataclass(frozen=True)
class Step:
    """The measurements of one step of one variant."""

    seconds: float
    wall_seconds: float
    tokens: int
    flops: float
    peak: float
    """FLOPs a second of a matrix product at that time"""
    held_bytes: int
    loss: float


def utterance_lengths(rounds: int) -> list[int]:
    """Frames of all utterances, evenly from the shortest to the longest."""
    count = BATCH * rounds
    return [round(SHORTEST + (LONGEST - SHORTEST) * n / (count - 1)) for n in range(count)]


def batch_lengths(rounds: int, *, buckets: bool) -> list[list[int]]:
    """The batches of all rounds: the same utterances, at random or with neighbours in length."""
    lengths = utterance_lengths(rounds)
    mixer = random.Random(5)
    if not buckets:
        mixer.shuffle(lengths)
    batches = [lengths[start : start + BATCH] for start in range(0, len(lengths), BATCH)]
    mixer.shuffle(batches)
    return batches


def utterance(frames: int) -> Example:
    """Random text and codes."""
    generator = np.random.default_rng(frames)
    text = frames // FRAMES_PER_TEXT_TOKEN
    tokens = np.zeros((1 + SHAPE.num_codebooks, text + frames + 1), dtype=np.int64)
    tokens[0, :text] = generator.integers(0, 150_000, text)
    tokens[1:, text:-1] = generator.integers(0, 1024, (SHAPE.num_codebooks, frames))
    tokens[0, text:-1] = tokens[1, text:-1] + SEMANTIC_BEGIN
    tokens[0, -1] = END_OF_TEXT
    return Example(tokens, text_length=text, end_has_codes=SHAPE.end_has_codes)


class Stand:
    """One variant's model and optimizer."""

    def __init__(self, variant: Variant, weights: dict[str, Tensor]) -> None:
        self.variant, self.held_bytes = variant, 0
        self.model = adapted_model(variant, weights)
        self.adapter = FlatAdapter(self.model, RATE) if variant.flat else None
        self.optimizer = AdapterOptimizer(trainable(self.model).values(), RATE)

    def warm_up(self, frames: int) -> None:
        """A step that does not count, for everything that is built once."""
        self._step(collate([utterance(frames)] * BATCH))

    def take(self, lengths: list[int]) -> Step:
        """One step; the first one also measures the held memory."""
        batch = collate([utterance(frames) for frames in lengths])
        self.held_bytes = self.held_bytes or self._held(batch)
        before = matmul_peak(TYPES[self.variant.precision])
        wall, cpu = time.perf_counter(), time.process_time()
        loss = self._step(batch)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        after = matmul_peak(TYPES[self.variant.precision])
        return Step(
            seconds=cpu if torch.get_num_threads() == 1 else wall,
            wall_seconds=wall,
            tokens=batch.label_count,
            flops=sum(SHAPE.training_flops(n // FRAMES_PER_TEXT_TOKEN, n) for n in lengths),
            peak=(before + after) / 2,
            held_bytes=self.held_bytes,
            loss=loss,
        )

    def _step(self, batch: Batch) -> float:
        loss = self._loss(batch)
        torch.autograd.backward(loss)
        if self.adapter is not None:
            self.adapter.collect()
            self.adapter.update(RATE, 1.0, loss.detach())
            return loss.item()
        clip_grad_norm_(trainable(self.model).values(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()

    def _loss(self, batch: Batch) -> Tensor:
        read = batch if self.variant.label_rows else labelled_everywhere(batch)
        predictions: Predictions = self.model(read)
        if self.variant.fused:
            token, code = (loss.total for loss in predictions.losses().values())
        else:
            token = plain_loss(predictions.logits()["token"], predictions.token_labels)
            labels = cast("Tensor", predictions.code_labels)
            code = plain_loss(predictions.logits()["code"].flatten(0, 1), labels)
        return token / batch.label_count + code / batch.code_count

    def _held(self, batch: Batch) -> int:
        """Bytes of the distinct blocks that the graph keeps, without the model's."""
        weights = {one.untyped_storage().data_ptr() for one in self.model.parameters()}
        kept: dict[int, torch.UntypedStorage] = {}

        def keep(one: Tensor) -> None:
            # The tensor itself would hold the graph that holds it, and never be freed.
            kept[one.untyped_storage().data_ptr()] = one.untyped_storage()

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda _: None):
            self._loss(batch)
        return sum(block.nbytes() for key, block in kept.items() if key not in weights)


def plain_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """torch's own cross-entropy over all logits."""
    return F.cross_entropy(logits.float(), labels.flatten(), reduction="sum")


def labelled_everywhere(batch: Batch) -> Batch:
    """Labels for text and padding, too, so that the model computes logits for them; their values
    do not affect the time."""
    labels = batch.labels.clone()
    labels[:, 0][labels[:, 0] == IGNORE] = 0
    everywhere = torch.arange(labels[:, 0].numel())
    return replace(batch, labels=labels, labelled=everywhere, coded=batch.labelled[batch.coded])


def random_weights(dtype: torch.dtype) -> dict[str, Tensor]:
    """Of the scale that a model starts its own training with."""
    generator = torch.Generator().manual_seed(1)
    with torch.device("meta"):
        wanted = DualAR(SHAPE, SEMANTIC_BEGIN, SEMANTIC_BEGIN + SHAPE.codebook_size - 1)
    return {
        name: (
            torch.ones(one.shape)
            if one.dim() == 1
            else torch.randn(one.shape, generator=generator) * 0.02
        ).to(dtype)
        for name, one in wanted.state_dict().items()
    }


def adapted_model(variant: Variant, weights: dict[str, Tensor]) -> PeftModel:
    """The model around shared frozen weights, with an adapter of its own."""
    with torch.device("meta"):
        model = DualAR(SHAPE, SEMANTIC_BEGIN, SEMANTIC_BEGIN + SHAPE.codebook_size - 1)
    model.load_state_dict(weights, assign=True)
    model.add_tables()
    model.requires_grad_(requires_grad=False)
    config = LoraConfig(targets=variant.targets, dropout=variant.dropout)
    adapted = add_adapter(model, TARGETS, config, base_name="scaled S1-mini", seed=1)
    if variant.recompute:
        recompute_layers(adapted)
    if variant.flat:
        fuse_layers(adapted)
    elif variant.fused_lora:
        fuse_adapted_linears(adapted)
    if variant.compiled:
        compile_layers(adapted)
    return adapted.train()


def matmul_peak(dtype: torch.dtype) -> float:
    """FLOPs a second of the best matrix product."""
    return max(_product_rate(dtype, *sizes) for sizes in PEAK_SIZES)


def _product_rate(dtype: torch.dtype, rows: int, inner: int, columns: int) -> float:
    one, other = torch.randn(rows, inner).to(dtype), torch.randn(columns, inner).to(dtype)
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    fastest = float("inf")
    for _ in range(3):
        start = clock()
        torch.mm(one, other.t())
        fastest = min(fastest, clock() - start)
    return 2 * rows * inner * columns / fastest
