"""Measures frames of speech a second: with and without the cache, and with an adapter.

    python benchmarks/speak.py [--shape scaled_s1_mini|s1_mini] [--frames N] [--rounds N] [--json]

Random weights in float32 of OpenAudio S1-mini's shape, or of the one that `step.py` scales to a
processor. After a prompt of 100 tokens, N frames are drawn as `fintts speak` draws them: one token
of row 0 and the codes of its frame. 21.5 frames are a second of speech.

- "with cache": each position passes through the slow stack once.
- "without cache": each frame passes the whole prompt and all earlier frames through the slow stack
  again, so its time grows with the length of the speech; the fast stack keeps its cache.
- "with adapter": rank 8 on every linear, embedding and head, beside the weights and not merged.

Seconds are the process's CPU time with one thread, since other programs share the machine; on a GPU
they are wall-clock seconds. Results are medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from fintts_inputs.base_model.families import read_shape
from fintts_inputs.config import LoraConfig
from fintts_inputs.speech.sampling import SamplingOptions
from fintts_trainer.families.fish import TARGETS
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.families.fish.speech import SERVED, FishFrames
from fintts_trainer.loop.step_clock import synchronize
from fintts_trainer.model.lora import add_adapter
from fintts_trainer.synthesis.frames import generate, plain
from fintts_trainer.synthesis.request import SpeechRequest

if TYPE_CHECKING:
    from torch import Tensor, nn

    from fintts_inputs.base_model.shape import ModelShape
    from fintts_trainer.synthesis.frames import Choices

SHAPES = ("scaled_s1_mini", "s1_mini")
SEMANTIC_BEGIN, END = 151_678, 0
PROMPT = 100


@dataclass(frozen=True, slots=True)
class Found:
    """The measurements."""

    what: str
    frames_per_second: float
    seconds_per_second_of_speech: float


class WithoutCache:
    """A `FrameModel` that reads everything again for each frame."""

    def __init__(self, model: DualAR, sizes: tuple[int, ...]) -> None:
        self._model, self._sizes = model, sizes
        self._columns: Tensor | None = None

    def next_column(self, columns: Tensor, choices: Choices) -> Tensor | None:
        if self._columns is not None:
            columns = torch.cat([self._columns, columns], dim=1)
        self._columns = columns
        frames = FishFrames(self._model, END, self._sizes, columns.shape[1])
        return frames.next_column(columns, choices)


def random_model(shape: ModelShape, device: torch.device) -> DualAR:
    """All weights of the scale that a model starts its own training with."""
    with torch.device("meta"):
        model = DualAR(shape, SEMANTIC_BEGIN, SEMANTIC_BEGIN + shape.codebook_size - 1)
    model.to_empty(device=device)
    generator = torch.Generator(device).manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 1:
                weight.fill_(1.0)
            else:
                weight.normal_(0, 0.02, generator=generator)
    model.add_tables()
    return model.to(device).requires_grad_(requires_grad=False).eval()


def seconds_of(model: nn.Module, shape: ModelShape, frames: int, *, cached: bool) -> float:
    """Of `frames` frames after the prompt."""
    own = plain(model)
    assert isinstance(own, DualAR)
    sizes = (shape.codebook_size,) + (1024,) * (shape.num_codebooks - 1)
    device = own.codebook_offsets.device
    request = SpeechRequest("", sizes, frames, SamplingOptions(), seed=1)
    prompt = torch.zeros(1 + shape.num_codebooks, PROMPT, dtype=torch.int64, device=device)
    prompt[0] = torch.arange(1, PROMPT + 1)
    reader = FishFrames(own, END, sizes, PROMPT + frames) if cached else WithoutCache(own, sizes)
    clock = time.process_time if device.type == "cpu" else time.monotonic
    synchronize(device)
    begun = clock()
    made = generate(reader, prompt, request, SERVED, lambda _count: None)
    synchronize(device)
    seconds = clock() - begun
    if made.columns.shape[1] != frames:
        raise SystemExit("the random model ended by itself: use another seed")
    return seconds


def measure(shape: ModelShape, frames: int, rounds: int) -> list[Found]:
    """The three ways in turn, so that other load affects all of them equally."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    base = random_model(shape, device)
    seconds: dict[str, list[float]] = {"with cache": [], "without cache": [], "with adapter": []}
    for _ in range(rounds):
        seconds["with cache"].append(seconds_of(base, shape, frames, cached=True))
        seconds["without cache"].append(seconds_of(base, shape, frames, cached=False))
    adapted = add_adapter(base, TARGETS, LoraConfig(rank=8), base_name="random", seed=1).eval()
    for _ in range(rounds):
        seconds["with adapter"].append(seconds_of(adapted, shape, frames, cached=True))
    each = {what: statistics.median(taken) / frames for what, taken in seconds.items()}
    return [Found(what, 1 / taken, taken * 44_100 / 2048) for what, taken in each.items()]


def main() -> None:
    """Measures, and prints a table or a document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default=SHAPES[0])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    shape = read_shape(Path(__file__).with_name(options.shape))
    found = measure(shape, options.frames, options.rounds)
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=1))
        return
    print(f"{'':16}{'frames a second':>18}{'s of a second of speech':>26}")
    for one in found:
        print(f"{one.what:16}{one.frames_per_second:18.2f}{one.seconds_per_second_of_speech:26.2f}")


if __name__ == "__main__":
    main()
