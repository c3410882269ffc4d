"""Trains the example's tiny base models from nothing, in Fish Speech's own format.

    python make_data.py --pretraining DIR
    python make_base_model.py DIR           writes base_model/, in minutes on two cores

    python make_recordings.py --pretraining DIR
    fintts data encode DIR --codec sound/base_model
    python make_base_model.py DIR-codes --codec sound/base_model

The second one is for the codec in its folder, and begins with the layers of the first. Each is what
a user downloads, in small: config.json, model.pth, tokenizer.tiktoken and special_tokens.json. The
model code is the product's own.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import regex  # type: ignore[import-untyped] # tiktoken brings it, without types
import torch
from torch.nn.functional import cross_entropy

from fintts_cost.training.early_stopping import EarlyStopping
from fintts_cost.training.schedule import Schedule
from fintts_inputs.base_model.families import read_config
from fintts_inputs.codec.find import find_codec
from fintts_inputs.data.holdout import is_held_out
from fintts_inputs.data.pack import read_pack
from fintts_inputs.data.packing import pack_folder
from fintts_trainer.data.batches import collate, in_batches
from fintts_trainer.data.encode import encode_utterances
from fintts_trainer.data.order import Order
from fintts_trainer.families.fish import FishFamily
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.families.fish.prompt import SPEAKER
from fintts_trainer.families.fish.tokenizer import SPLIT_PATTERN
from fintts_trainer.families.fish.weights import to_fish
from fintts_trainer.loop.evaluate import evaluate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fintts_trainer.families.base import Example, Predictions
    from fintts_trainer.families.fish import FishBase
    from fintts_trainer.families.weight_files import StateDict

HERE = Path(__file__).parent
SEED = 1849
THREADS = 2
"""Fixed, since sums in another order differ in their last bits."""
BATCH_SIZE = 16
LEARNING_RATE = 1e-3
WARMUP_STEPS = 50
MAX_STEPS = 4000
VALIDATION_EVERY = 100
PATIENCE = 3
HELD_OUT = 0.1
MAX_GRAD_NORM = 1.0

CODEC2_SIZES = (512, 512, 512, 512)
"""The codes of codec2's fields, all counted as the largest has."""
MERGES = 113
CONTROL_TOKENS = (
    "begin_of_text",
    "end_of_text",
    "pad",
    "im_start",
    "im_end",
    "phoneme_start",
    "phoneme_end",
    "tool_call_start",
    "tool_call_end",
    "text",
    "voice",
    "interleave",
    "audio_start",
    "audio_end",
    "audio",
)
CONFIG = {
    "model_type": "dual_ar",
    "n_layer": 4,
    "n_head": 4,
    "dim": 128,
    "intermediate_size": 384,
    "n_local_heads": 2,
    "head_dim": 32,
    "rope_base": 1000000,
    "norm_eps": 1e-06,
    "max_seq_len": 512,
    "dropout": 0.0,
    "tie_word_embeddings": False,
    "attention_qkv_bias": False,
    "attention_qk_norm": True,
    "attention_o_bias": False,
    "initializer_range": 0.03125,
    "scale_codebook_embeddings": True,
    "n_fast_layer": 2,
    "fast_dim": 128,
    "fast_n_head": 4,
    "fast_n_local_heads": 2,
    "fast_head_dim": 32,
    "fast_intermediate_size": 384,
    "fast_attention_qkv_bias": False,
    "fast_attention_qk_norm": False,
    "fast_attention_o_bias": False,
    "use_gradient_checkpointing": False,
}


def config_for(codebook_sizes: Sequence[int]) -> dict[str, object]:
    """The content of config.json for a codec with these codebooks."""
    size = max(codebook_sizes)
    vocabulary = 256 + MERGES + len(CONTROL_TOKENS) + size
    codes = {"codebook_size": size, "num_codebooks": len(codebook_sizes)}
    return CONFIG | codes | {"vocab_size": vocabulary}


def train_byte_pairs(texts: Iterable[str], merges: int) -> list[bytes]:
    """The 256 bytes and the pairs that are merged, most frequent first (Sennrich et al. 2016).

    Pairs are counted within the pieces that the tokenizer splits a text into; of equally frequent
    ones the alphabetically first is merged, so that the outcome does not depend on the order.
    """
    found: Counter[str] = Counter(
        str(piece.group()) for text in texts for piece in regex.finditer(SPLIT_PATTERN, text)
    )
    words = {word: [bytes([byte]) for byte in word.encode()] for word in found}
    vocabulary = [bytes([byte]) for byte in range(256)]
    for _ in range(merges):
        pairs: Counter[tuple[bytes, bytes]] = Counter()
        for word, parts in words.items():
            for pair in pairwise(parts):
                pairs[pair] += found[word]
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        vocabulary.append(best[0] + best[1])
        words = {word: merge(parts, best) for word, parts in words.items()}
    return vocabulary


def merge(parts: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    """The parts with each occurrence of the pair made one."""
    merged: list[bytes] = []
    for part in parts:
        if merged and (merged[-1], part) == pair:
            merged[-1] += part
        else:
            merged.append(part)
    return merged


def write_tokenizer(texts: Iterable[str], codes: int, folder: Path) -> None:
    """tokenizer.tiktoken and special_tokens.json; each text is split with its speaker mark."""
    vocabulary = train_byte_pairs((SPEAKER + text for text in texts), MERGES)
    ranks = [f"{base64.b64encode(token).decode()} {rank}" for rank, token in enumerate(vocabulary)]
    (folder / "tokenizer.tiktoken").write_text("\n".join(ranks) + "\n")
    names = [*CONTROL_TOKENS, *(f"semantic:{code}" for code in range(codes))]
    special = {f"<|{name}|>": 256 + MERGES + i for i, name in enumerate(names)}
    (folder / "special_tokens.json").write_text(json.dumps(special, indent=0) + "\n")


def read_examples(base: FishBase, data: Path) -> tuple[list[Example], list[Example]]:
    """Training and validation split; a verse is on one side with all of its voices."""
    with tempfile.TemporaryDirectory() as folder:
        pack = read_pack(pack_folder(data, Path(folder), base.shape).path)
    # runo03-0001a-f3 → runo03-0001: the couplet decides, not the voice or the half.
    held_out = [is_held_out(name[: len("runo03-0001")], HELD_OUT) for name in pack.names]
    training = [index for index, held in enumerate(held_out) if not held]
    validation = [index for index, held in enumerate(held_out) if held]
    parts = (encode_utterances(base, pack, part) for part in (training, validation))
    return list(next(parts)), list(next(parts))


def new_model(base: FishBase) -> DualAR:
    """Random weights: normal, of the width that config.json names; norms are 1."""
    torch.random.manual_seed(SEED)  # pyright: ignore[reportUnknownMemberType] # typed in part
    model = DualAR(base.shape, base.tokenizer.semantic_begin_id, base.tokenizer.semantic_end_id)
    model.add_tables()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.03125)
    return model


def begin_with(model: DualAR, folder: Path) -> None:
    """Takes over what another base model of the example knows of text and rhythm: its layers and
    its rows for text, but nothing that is about codes."""
    known = FishFamily().open(read_config(folder)).load(torch.float32).state_dict()
    texts = 256 + MERGES + len(CONTROL_TOKENS)
    with torch.no_grad():
        for name, weight in model.state_dict().items():
            if weight.shape == known[name].shape:
                weight.copy_(known[name])
            elif name in ("slow.embed_tokens.weight", "lm_head.weight"):
                weight[:texts].copy_(known[name][:texts])


def train(model: DualAR, training: list[Example], validation: list[Example]) -> StateDict:
    """Trains until the validation loss levels off; returns the best weights."""
    schedule = Schedule(len(training), BATCH_SIZE, 1, MAX_STEPS, VALIDATION_EVERY)
    order, rule = Order(schedule, SEED), EarlyStopping(patience=PATIENCE)
    progress = rule.start()
    best = snapshot(model)
    optimizer = torch.optim.AdamW(
        model.parameters(), LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.1
    )
    started = time.monotonic()
    for step in range(MAX_STEPS):
        samples = order.samples_of_step(step)
        loss = take_step(model, optimizer, [training[i] for i in samples], step)
        if schedule.is_validation(step + 1):
            value = loss_on(model, validation)
            progress = rule.check(progress, step + 1, value)
            seconds = time.monotonic() - started
            say(f"step {step + 1}: loss {loss:.3f}, validation {value:.4f}, {seconds:.0f} s")
            if progress.best_step == step + 1:
                best = snapshot(model)
            if rule.should_stop(progress):
                break
    say(f"best at step {progress.best_step}: {progress.best_value:.4f}")
    return best


def take_step(
    model: DualAR, optimizer: torch.optim.Optimizer, examples: list[Example], step: int
) -> float:
    """One update of all weights; returns the loss."""
    for group in optimizer.param_groups:
        group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / WARMUP_STEPS)
    loss = whole_loss(model(collate(examples)))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
    optimizer.step()
    return float(loss.item())


def whole_loss(predictions: Predictions) -> torch.Tensor:
    """The loss of the product, which computes no gradients for the heads itself."""
    logits, codes = predictions.logits(), predictions.code_labels
    assert codes is not None
    token = cross_entropy(logits["token"].float(), predictions.token_labels)
    return token + cross_entropy(logits["code"].float().flatten(0, 1), codes.flatten())


def loss_on(model: DualAR, examples: list[Example]) -> float:
    """The mean loss over these examples."""
    batches = in_batches(examples, BATCH_SIZE)
    model.requires_grad_(requires_grad=False)  # the product computes no gradients for the heads
    loss = evaluate(model, batches, torch.device("cpu")).means()["loss"]
    model.requires_grad_()
    return loss


def snapshot(model: DualAR) -> StateDict:
    """A copy of the weights, as Fish names and lays them out, in bfloat16."""
    state = to_fish(model.state_dict(), model.shape)
    return {name: weight.detach().to(torch.bfloat16, copy=True) for name, weight in state.items()}


def say(sentence: str) -> None:
    """A line of progress."""
    print(sentence, file=sys.stderr, flush=True)


def main() -> None:
    """Tokenizer, configuration, weights; then opens the folder as a user's run does."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="codes and texts of other voices")
    parser.add_argument(
        "--codec", type=Path, metavar="DIR", help="the codec's folder, which becomes the model's"
    )
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    data: Path = options.data
    folder: Path = options.codec or HERE / "base_model"
    sizes = CODEC2_SIZES if options.codec is None else find_codec(folder).shape.codebook_sizes
    texts = (path.read_text().strip() for path in sorted(data.glob("*.lab")))
    write_tokenizer(texts, max(sizes), folder)
    (folder / "config.json").write_text(json.dumps(config_for(sizes), indent=1) + "\n")
    base = FishFamily().open(read_config(folder))
    training, validation = read_examples(base, data)
    say(f"{len(training)} utterances to train on, {len(validation)} held out")
    model = new_model(base)
    if options.codec is not None:
        begin_with(model, HERE / "base_model")
    torch.save(train(model, training, validation), folder / "model.pth")
    loaded = FishFamily().open(read_config(folder)).load(torch.float32)
    say(f"as saved, in bfloat16: validation {loss_on(loaded, validation):.4f}")


if __name__ == "__main__":
    main()
