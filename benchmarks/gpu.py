"""Trains the full shape of OpenAudio S1-mini on this device: time, memory, and its adapter.

    python benchmarks/gpu.py [--batch N] [--steps N] [--recompute] [--json]

860 million random bfloat16 weights (28 + 4 layers, dim 1,024, 155,776 tokens, 10 codebooks of
4,096) with the reference run's adapter: rank 8 on attention, MLP, embeddings and heads, float32. A
step is a batch of utterances of 300 frames and 100 text tokens through forward, loss, backward,
clipping and AdamW, after a warm-up step. The default is 8 utterances on a GPU and one on a CPU,
where a step takes half a minute.

- "beyond the weights" is the peak memory during a step: adapter, gradients, moments,
  activations. On a GPU it is torch's own count; on Linux the process's resident memory.
- MFU is `ModelShape.training_flops` a second over the best matrix product of the same type.
- Then the adapter is merged into the base model's own files, as `fintts export --format fish` does;
  the merged folder is opened strictly, and its logits are compared with those of base and adapter.
  Merged bfloat16 weights are rounded to 8 bits, so they agree to about 2⁻⁸ of their size; the
  effect of the adapter itself is shown for comparison.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn.utils import clip_grad_norm_

from fintts_inputs.base_model.families import read_config, read_shape
from fintts_inputs.config import LoraConfig
from fintts_trainer.data.batches import collate
from fintts_trainer.families.fish import FishBase, FishFamily
from fintts_trainer.families.fish.merge import merge
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.families.fish.weights import to_fish
from fintts_trainer.machine.memory import PeakMeter
from fintts_trainer.model.lora import add_adapter, open_adapter, trainable, write_adapter
from fintts_trainer.model.optimizer import AdapterOptimizer
from fintts_trainer.model.recompute import recompute_layers
from fintts_trainer.step_clock import matmul_peak, synchronize

if TYPE_CHECKING:
    from peft import PeftModel

    from fintts_trainer.families.base import Batch, Predictions

CONFIG = Path(__file__).parent / "s1_mini" / "config.json"
TEXT_TOKENS, FRAMES = 100, 300
BATCH = {"cuda": 8, "cpu": 1}
DTYPE = torch.bfloat16
CONTROL = ("<|interleave|>", "<|speaker:0|>", "<|im_end|>")


@dataclass(frozen=True, slots=True)
class Found:
    """The measurements."""

    device: str
    batch: int
    recompute: bool
    weights_bytes: int
    beyond_the_weights_bytes: int
    seconds_per_step: float
    tokens_per_second: float
    mfu: float
    loss: float
    adapter_tensors: int
    moved_tensors: int
    matrices_merged: int
    merged_difference: float
    """the largest of a logit between the merged model and base + adapter, over the logits' size"""
    adapter_effect: float
    """the same between base + adapter and the base alone"""


def write_base(folder: Path) -> FishBase:
    """A folder like the released S1-mini, with random weights and a tokenizer of single bytes."""
    config = json.loads(CONFIG.read_text())
    (folder / "config.json").write_text(json.dumps(config))
    ranks = [f"{base64.b64encode(bytes([byte])).decode()} {byte}" for byte in range(256)]
    (folder / "tokenizer.tiktoken").write_text("\n".join(ranks) + "\n")
    semantic = [f"<|semantic:{code}|>" for code in range(config["codebook_size"])]
    first = config["vocab_size"] - len(CONTROL) - len(semantic)
    ids = {token: first + place for place, token in enumerate([*CONTROL, *semantic])}
    (folder / "special_tokens.json").write_text(json.dumps(ids))
    shape = read_shape(folder)
    with torch.device("meta"):
        wanted = DualAR(shape, 0, shape.codebook_size - 1).state_dict()
    generator = torch.Generator().manual_seed(1)
    ours = {name: random_weight(tuple(one.shape), generator) for name, one in wanted.items()}
    save_file(to_fish(ours, shape), folder / "model.safetensors", metadata={"format": "pt"})
    return FishFamily().open(read_config(folder))


def random_weight(size: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Of the scale that a model starts its own training with; norms are ones."""
    if len(size) == 1:
        return torch.ones(size, dtype=DTYPE)
    return torch.empty(size, dtype=DTYPE).normal_(0, 0.02, generator=generator)


def batch_of(base: FishBase, count: int) -> Batch:
    """Utterances of random codes; the text's bytes are its tokens."""
    generator = np.random.default_rng(1)
    sizes = (base.shape.num_codebooks, FRAMES)
    letters = "".join(chr(97 + int(n)) for n in generator.integers(0, 26, TEXT_TOKENS))
    return collate([base.encode(letters, generator.integers(0, 1024, sizes)) for _ in range(count)])


def step(model: PeftModel, optimizer: AdapterOptimizer, batch: Batch) -> float:
    """One optimizer update; its loss."""
    predictions: Predictions = model(batch)
    token = predictions.losses()["token"].total / batch.label_count
    code = predictions.losses()["code"].total / batch.code_count
    torch.autograd.backward(token + code)
    clip_grad_norm_(trainable(model).values(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return (token + code).item()


def measure(folder: Path, count: int, steps: int, *, recompute: bool) -> Found:
    """Trains some steps, then merges the adapter and reads it back."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    (folder / "base").mkdir()
    base = write_base(folder / "base")
    loaded = base.load(DTYPE).to(device)
    weights_bytes = sum(one.nbytes for one in loaded.parameters())
    peak = matmul_peak(device, DTYPE)
    meter = PeakMeter(device)
    config = LoraConfig()
    model = add_adapter(loaded, base.targets, config, base_name="S1-mini's shape", seed=1)
    model.to(device).train()
    if recompute:
        recompute_layers(model)
    before = {name: one.detach().clone() for name, one in trainable(model).items()}
    optimizer = AdapterOptimizer(trainable(model).values(), 1e-3)
    batch = batch_of(base, count).to(device)
    loss, seconds = step(model, optimizer, batch), list[float]()
    for _ in range(steps):
        start = time.perf_counter()
        loss = step(model, optimizer, batch)
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    beyond = meter.bytes()
    moved = [not torch.equal(one, before[name]) for name, one in trainable(model).items()]
    typical = statistics.median(seconds)
    flops = count * base.shape.training_flops(TEXT_TOKENS, FRAMES)
    merged, difference, effect = round_trip(folder, base, model)
    return Found(
        device=torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        batch=count,
        recompute=recompute,
        weights_bytes=weights_bytes,
        beyond_the_weights_bytes=beyond,
        seconds_per_step=typical,
        tokens_per_second=batch.inputs[:, 0].numel() / typical,
        mfu=flops / typical / peak,
        loss=loss,
        adapter_tensors=len(moved),
        moved_tensors=sum(moved),
        matrices_merged=merged,
        merged_difference=difference,
        adapter_effect=effect,
    )


def round_trip(folder: Path, base: FishBase, model: PeftModel) -> tuple[int, float, float]:
    """Merges the adapter into the base model's files and compares what the two models say.

    The adapter is made ten times as strong first: after a few steps it would drown in bfloat16.
    """
    with torch.no_grad():
        for name, one in trainable(model).items():
            if "lora_B" in name or "lora_embedding_B" in name:
                one.mul_(10)
    (folder / "adapter").mkdir()
    (folder / "merged").mkdir()
    write_adapter(model, folder / "adapter")
    changed = merge(base, folder / "adapter", folder / "merged")
    for path in base.folder.iterdir():
        if path.suffix != ".safetensors":
            (folder / "merged" / path.name).write_bytes(path.read_bytes())
    batch = batch_of(base, 1)
    alone = logits(base.load(DTYPE), batch)
    adapted = logits(open_adapter(base.load(DTYPE), folder / "adapter"), batch)
    merged = logits(FishFamily().open(read_config(folder / "merged")).load(DTYPE), batch)
    size = float(adapted.abs().max())
    return (
        changed,
        float((merged - adapted).abs().max()) / size,
        float((adapted - alone).abs().max()) / size,
    )


@torch.no_grad()
def logits(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """[labels, tokens] of row 0, in float32."""
    return cast("Predictions", model.eval()(batch)).logits()["token"].float()


def main() -> int:
    """Prints the measurements; 1 if a tensor of the adapter did not change."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--batch", type=int, default=BATCH[kind], metavar="N", help="utterances")
    parser.add_argument("--steps", type=int, default=1 if kind == "cpu" else 20, metavar="N")
    parser.add_argument("--recompute", action="store_true", help="gradient checkpointing")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.batch, options.steps, recompute=options.recompute)
    if options.json:
        sys.stdout.write(json.dumps(asdict(found), indent=1) + "\n")
    else:
        for name, value in asdict(found).items():
            shown = f"{value / 1e9:.2f} GB" if name.endswith("_bytes") else value
            sys.stdout.write(f"{name.removesuffix('_bytes').replace('_', ' ')}: {shown}\n")
    return 0 if found.moved_tensors == found.adapter_tensors else 1


if __name__ == "__main__":
    sys.exit(main())
