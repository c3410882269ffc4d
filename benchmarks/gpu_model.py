"""The model and the data of `benchmarks/gpu.py`: S1-mini's shape with random weights."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from safetensors.torch import save_file

from fintts_inputs.base_model.families import read_config, read_shape
from fintts_trainer.data.batches import collate
from fintts_trainer.data.feed import StepData
from fintts_trainer.families.fish import FishBase, FishFamily
from fintts_trainer.families.fish.merge import merge
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.families.fish.weights import to_fish
from fintts_trainer.model.lora import open_adapter, trainable, write_adapter

if TYPE_CHECKING:
    from peft import PeftModel

    from fintts_trainer.families.base import Batch, Example, Predictions

CONFIG = Path(__file__).with_name("s1_mini") / "config.json"
NARROW = {
    **{"dim": 64, "head_dim": 8, "n_head": 4, "n_local_heads": 2, "intermediate_size": 32},
    **{"fast_dim": 64, "fast_head_dim": 8, "fast_n_head": 4, "fast_n_local_heads": 2},
    **{"fast_intermediate_size": 32, "vocab_size": 600, "codebook_size": 64},
}
"""for a try on a CPU: as deep, but nothing else of it is as large"""
TEXT_TOKENS, FRAMES = 100, 300
NARROW_FRAMES = 20
DTYPE = torch.bfloat16
CONTROL = ("<|interleave|>", "<|speaker:0|>", "<|im_end|>")


def config_of(*, quick: bool) -> dict[str, int]:
    """config.json of S1-mini's shape, or of the narrow one."""
    config: dict[str, int] = json.loads(CONFIG.read_text())
    return config | NARROW if quick else config


def write_base(folder: Path, config: dict[str, int]) -> FishBase:
    """A folder like the released S1-mini, with random weights and a tokenizer of single bytes."""
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


def examples_of(base: FishBase, count: int) -> list[Example]:
    """Utterances of random codes; the text's bytes are its tokens."""
    generator = np.random.default_rng(1)
    is_narrow = base.shape.codebook_size == NARROW["codebook_size"]
    sizes = (base.shape.num_codebooks, NARROW_FRAMES if is_narrow else FRAMES)
    letters = "".join(chr(97 + int(n)) for n in generator.integers(0, 26, TEXT_TOKENS))
    most = min(1024, base.shape.codebook_size)
    return [base.encode(letters, generator.integers(0, most, sizes)) for _ in range(count)]


def data_of(base: FishBase, count: int) -> StepData:
    """A step of one micro-batch."""
    examples = examples_of(base, count)
    batch = collate(examples)
    lengths = np.array([example.length - 1 for example in examples])
    texts = np.array([example.text_length for example in examples])
    return StepData([batch], lengths, texts, batch.label_count, batch.code_count, 0.0)


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
    batch = data_of(base, 1).batches[0]
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
