"""Measures the cost of an optimizer step, with each optimisation on and off.

    python benchmarks/step.py [--rounds N] [--threads N] [--only PATTERN] [--json]

The model is OpenAudio S1-mini scaled to a processor: 7 slow layers and 1 fast one, dim 384, 6 heads
on 3 key-value heads of 128 (fast: 64), MLP 1,152, S1-mini's own vocabulary of 155,776 and its 10
codebooks of 4,096; random weights, LoRA of rank 8. A step is a batch of 4 utterances of 100 to 500
frames, with a third as many text tokens, through forward, loss, backward, clipping and AdamW.

Each line of the table adds one optimisation to the line above it, until the lines that begin with
"all,": these start from all of them and change one thing. Each round takes one step per line, in
turn, so that other load affects all lines equally; the result is the median of the rounds.
Before them, memory is warmed up with a batch of the longest utterances.

- A useful token is a position with a label: a frame, or the end of an utterance. Text and
  padding do not count.
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
import re
import statistics
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from step_variants import (
    LONGEST,
    SHORTEST,
    TYPES,
    Stand,
    Step,
    Variant,
    batch_lengths,
    random_weights,
    variants,
)

from fintts_inputs.config import LoraConfig
from fintts_trainer.machine.allocator import keep_freed_memory

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

AIMS = {"MFU of all": 0.60, "MFU of all, embeddings and heads adapted": 0.55}
AIM_RATIO, AIM_BF16 = 0.53, 0.55


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
        # The heap of a process grows once, with any variant.
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
    """The targets that the measured lines miss; a line that was left out does not count."""
    by_name = {line.variant: line for line in lines}
    every = by_name.get("all: + one tensor, fused layers")
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
    """One line per variant."""
    print(f"{'variant':<36}{'µs/token':>10}{'tokens/s':>10}{'MFU':>7}{'ratio':>8}{'held MB':>9}")
    for line in lines:
        print(
            f"{line.variant:<36}{line.microseconds_per_token:>10,.0f}{line.tokens_per_second:>10.1f}"
            f"{line.mfu:>7.2f}{line.ratio_to_first:>8.3f}{line.held_mb:>9,.0f}"
        )
    for precision in sorted({line.precision for line in lines}):
        peak = max(line.peak for line in lines if line.precision == precision)
        print(f"matmul peak in {precision}: {peak / 1e9:.1f} GFLOP/s")
    print("\n".join(f"missed: {one}" for one in missed) or "all targets reached")


def main() -> None:
    """Measures, prints, and exits with 1 if a target is missed."""
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
