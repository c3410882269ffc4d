"""What an optimisation step costs, with each optimisation on and off.

    python benchmarks/step.py [--rounds N] [--threads N] [--only PATTERN] [--json]

The model is OpenAudio S1-mini scaled to a processor: 7 slow layers and 1 fast one, dim 384, 6 heads
on 3 key-value heads of 128 (fast: 64), MLP 1,152, S1-mini's own vocabulary of 155,776 and its 10
codebooks of 4,096; random weights, LoRA of rank 8. A step is a batch of 4 utterances of 100 to 500
frames, with a third as many text tokens, through forward, loss, backward, clipping and AdamW.

Each line of the table adds one optimisation to the line above it, until the lines that begin with
"all,": those start from everything and change one thing. All lines take one step a round, in turn,
so that a busy moment of the machine hits each of them alike; what is told is the median of rounds.
Before them, memory is warmed up with a batch of the longest utterances.

- A useful token is a position with a label: a frame, or the end of an utterance. Text, which only
  has to be read, and padding do not count.
- MFU is the FLOPs a second of the model (`ModelShape.training_flops`: forward and the gradient of
  the activations at the utterances' own positions, the text head where there is a label; neither
  padding, recomputation nor the adapter's own) over those of the best matrix product of the same
  type just before and after the step.
- Seconds are the process's CPU time with one thread, since other programs share the machine; with
  more threads they are wall-clock seconds.
- "held" is what forward keeps for backward beside the weights, in the first round's batch.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import re
import statistics
import sys
import time
from dataclasses import asdict, dataclass, replace
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
from fintts_trainer.machine.allocator import keep_freed_memory
from fintts_trainer.model.compiled import compile_layers
from fintts_trainer.model.fused_lora import fuse_adapted_linears
from fintts_trainer.model.lora import add_adapter, trainable
from fintts_trainer.model.recompute import recompute_layers
from fintts_trainer.setup import BETAS, EPSILON

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from peft import PeftModel
    from torch import Tensor

SHAPE = read_shape(Path(__file__).with_name("scaled_s1_mini"))
SEMANTIC_BEGIN, END_OF_TEXT = 151_678, 151_645
BATCH, SHORTEST, LONGEST, FRAMES_PER_TEXT_TOKEN = 4, 100, 500, 3
PEAK_SIZES = ((1024, 1024, 1024), (2048, 2048, 2048), (1600, 384, 1152))

AIMS = {"MFU of all": 0.60, "MFU of all, embeddings and heads adapted": 0.55}
AIM_RATIO, AIM_BF16 = 0.53, 0.55
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
INNER: tuple[Target, ...] = ("attention", "mlp")


@dataclass(frozen=True)
class Variant:
    """A way to take the step."""

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


def variants() -> list[Variant]:
    """From what the reference trainer does to all at once, then one thing changed at a time."""
    plainest = Variant(
        "as the reference trainer",
        recompute=True,
        dropout=0.01,
        label_rows=False,
        buckets=False,
        fused=False,
        keep_memory=False,
        fused_lora=False,
    )
    ladder = [plainest]
    for name, change in (
        ("+ no gradient checkpointing", {"recompute": False}),
        ("+ logits at label rows only", {"label_rows": True}),
        ("+ dropout 0", {"dropout": 0.0}),
        ("+ length buckets", {"buckets": True}),
        ("+ fused cross-entropy", {"fused": True}),
        ("+ freed memory kept", {"keep_memory": True}),
        ("all: + one-node LoRA", {"fused_lora": True}),
    ):
        ladder.append(replace(ladder[-1], name=name, **change))
    every = ladder[-1]
    ends: tuple[Target, ...] = (*INNER, "embeddings", "heads")
    alone = [
        replace(every, name="all, plain cross-entropy", fused=False),
        replace(every, name="all, gradient checkpointing", recompute=True),
        replace(every, name="all, embeddings and heads adapted", targets=ends),
        replace(every, name="all, compiled layers", compiled=True),
    ]
    if has_bf16():
        alone.append(replace(every, name="all, bf16", precision="bf16"))
    return ladder + alone


def has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 itself."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.exists() else ""
    return "avx512_bf16" in text or "amx_bf16" in text


@dataclass(frozen=True)
class Step:
    """What one step of one variant took."""

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
        self.optimizer = torch.optim.AdamW(
            trainable(self.model).values(), lr=1e-4, betas=BETAS, eps=EPSILON, weight_decay=0.0
        )

    def warm_up(self, frames: int) -> None:
        """A step that does not count, for what is built once."""
        self._step(collate([utterance(frames)] * BATCH))

    def take(self, lengths: list[int]) -> Step:
        """One step; the first one also finds out what is held."""
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
        loss.backward()
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
        """Bytes of the distinct blocks that the graph keeps, the model's own left out."""
        weights = {one.untyped_storage().data_ptr() for one in self.model.parameters()}
        kept: dict[int, torch.UntypedStorage] = {}

        def keep(one: Tensor) -> None:
            # The tensor itself would hold the graph that holds it, and never be freed.
            kept[one.untyped_storage().data_ptr()] = one.untyped_storage()

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda _: None):
            self._loss(batch)
        return sum(block.nbytes() for key, block in kept.items() if key not in weights)


def plain_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """torch's own cross-entropy, over logits that all exist."""
    return F.cross_entropy(logits.float(), labels.flatten(), reduction="sum")


def labelled_everywhere(batch: Batch) -> Batch:
    """Has the model give logits for text and padding too; what they are compared with is nothing
    to the time that it takes."""
    labels = batch.labels.clone()
    labels[:, 0][labels[:, 0] == IGNORE] = 0
    return Batch(batch.inputs, labels)


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
    if variant.fused_lora:
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


def work(pipe: Connection, chosen: list[Variant], rounds: int, threads: int) -> None:
    """A process for the variants that share a way of asking for memory, which is process-wide.

    Receives a variant's name and a round; sends back the `Step`.
    """
    torch.set_num_threads(threads)
    if chosen[0].keep_memory:
        keep_freed_memory()
    weights = {name: random_weights(TYPES[name]) for name in {v.precision for v in chosen}}
    stands = {v.name: Stand(v, weights[v.precision]) for v in chosen}
    for number, stand in enumerate(stands.values()):
        # The heap of a process has to grow once, whichever variant makes it.
        stand.warm_up(SHORTEST if number else LONGEST)
    pipe.send("ready")
    while (request := pipe.recv()) is not None:
        name, number = request
        buckets = stands[name].variant.buckets
        pipe.send(stands[name].take(batch_lengths(rounds, buckets=buckets)[number]))


@dataclass(frozen=True)
class Line:
    """One variant over all rounds: medians, and the sums that they can be checked against."""

    variant: str
    precision: str
    peak: float
    """FLOPs a second of a matrix product; the highest of all rounds"""
    microseconds_per_token: float
    tokens_per_second: float
    mfu: float
    ratio_to_first: float
    held_mb: float
    steps: list[Step]


def measure(chosen: list[Variant], rounds: int, threads: int) -> list[Line]:
    """One step of each variant a round."""
    context = multiprocessing.get_context("spawn")
    pipes: dict[bool, Connection] = {}
    workers = []
    for keep in sorted({v.keep_memory for v in chosen}):
        pipes[keep], far = context.Pipe()
        mine = [v for v in chosen if v.keep_memory == keep]
        workers.append(context.Process(target=work, args=(far, mine, rounds, threads), daemon=True))
        workers[-1].start()
        far.close()
        pipes[keep].recv()
    steps: dict[str, list[Step]] = {variant.name: [] for variant in chosen}
    for number in range(rounds):
        for variant in chosen:
            print(f"round {number + 1} of {rounds}: {variant.name}", file=sys.stderr)
            pipes[variant.keep_memory].send((variant.name, number))
            steps[variant.name].append(pipes[variant.keep_memory].recv())
    for pipe in pipes.values():
        pipe.send(None)
    for worker in workers:
        worker.join()
    return [line_of(variant, steps[variant.name], steps[chosen[0].name]) for variant in chosen]


def line_of(variant: Variant, steps: list[Step], first: list[Step]) -> Line:
    """Medians over rounds; `first` is what the plainest variant took."""
    per_token = seconds_per_token(steps)
    return Line(
        variant=variant.name,
        precision=variant.precision,
        peak=max(step.peak for step in steps),
        microseconds_per_token=per_token * 1e6,
        tokens_per_second=1 / per_token,
        mfu=statistics.median(step.flops / step.seconds / step.peak for step in steps),
        ratio_to_first=per_token / seconds_per_token(first),
        held_mb=steps[0].held_bytes / 1e6,
        steps=steps,
    )


def seconds_per_token(steps: list[Step]) -> float:
    """Of the middle round."""
    return statistics.median(step.seconds / step.tokens for step in steps)


def missed_aims(lines: list[Line]) -> list[str]:
    """The aims that the measured lines do not reach, in words; a line left out is no miss."""
    by_name = {line.variant: line for line in lines}
    every = by_name.get("all: + one-node LoRA")
    ends = by_name.get("all, embeddings and heads adapted")
    half = by_name.get("all, bf16")
    reached = {"MFU of all": every, "MFU of all, embeddings and heads adapted": ends}
    missed = [
        f"{what} is {line.mfu:.2f}, not {AIMS[what]:.2f}"
        for what, line in reached.items()
        if line and line.mfu < AIMS[what]
    ]
    if (
        every
        and lines[0].variant == "as the reference trainer"
        and every.ratio_to_first > AIM_RATIO
    ):
        missed.append(f"all takes {every.ratio_to_first:.2f} of the first, not {AIM_RATIO}")
    if every and half and half.ratio_to_first > AIM_BF16 * every.ratio_to_first:
        missed.append(
            f"bf16 takes {half.ratio_to_first / every.ratio_to_first:.2f} of fp32, not {AIM_BF16}"
        )
    return missed


def print_table(lines: list[Line], missed: list[str]) -> None:
    """One line a variant."""
    print(f"{'variant':<36}{'µs/token':>10}{'tokens/s':>10}{'MFU':>7}{'ratio':>8}{'held MB':>9}")
    for line in lines:
        print(
            f"{line.variant:<36}{line.microseconds_per_token:>10,.0f}{line.tokens_per_second:>10.1f}"
            f"{line.mfu:>7.2f}{line.ratio_to_first:>8.3f}{line.held_mb:>9,.0f}"
        )
    for precision in sorted({line.precision for line in lines}):
        peak = max(line.peak for line in lines if line.precision == precision)
        print(f"matmul peak in {precision}: {peak / 1e9:.1f} GFLOP/s")
    print("\n".join(f"missed: {one}" for one in missed) or "all aims reached")


def main() -> None:
    """Measures, prints, and exits with 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="variants whose name matches this pattern")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # for the worker processes
    chosen = [variant for variant in variants() if re.search(arguments.only, variant.name)]
    if not chosen:
        parser.error(f"no variant's name matches {arguments.only!r}")
    lines = measure(chosen, arguments.rounds, arguments.threads)
    missed = missed_aims(lines)
    if arguments.json:
        content = {
            "benchmark": "step",
            "rounds": arguments.rounds,
            "threads": arguments.threads,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "lora_rank": LoraConfig().rank,
            "missed_aims": missed,
            "variants": [asdict(line) for line in lines],
        }
        print(json.dumps(content, indent=2))
    else:
        print_table(lines, missed)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
