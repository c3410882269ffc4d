"""A tiny base model in the files of Fish Audio S2: nested config, sharded safetensors, tied head.

It is made of the S1-mini-like fixture, whose text head is left out.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

from fintts_inputs.base_model.fish.weights import S2
from fintts_trainer.families.fish.tokenizer import SPLIT_PATTERN, read_ranks
from fintts_trainer.families.weight_files import StateDict, read_state_dict
from tiny_run import TINY

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def write_tiny_s2(
    folder: Path, dtype: torch.dtype = torch.bfloat16, *, fast_norm: bool = False
) -> Path:
    """Writes the folder; returns it.

    Args:
        fast_norm: whether the fast stack normalises query and key, too.
    """
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(_config(fast_norm=fast_norm)))
    write_json_tokenizer(folder)
    state = {key: weight.to(dtype) for key, weight in _weights(fast_norm=fast_norm).items()}
    keys = sorted(state)
    parts = (keys[: len(keys) // 2], keys[len(keys) // 2 :])
    for name, part in zip(SHARDS, parts, strict=True):
        save_file({key: state[key].contiguous() for key in part}, folder / name)
    where = {key: name for name, part in zip(SHARDS, parts, strict=True) for key in part}
    index = {"metadata": {"total_size": 0}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def write_json_tokenizer(folder: Path) -> None:
    """tokenizer.json with the fixture's byte pairs and control tokens."""
    ranks = read_ranks(TINY / "tokenizer.tiktoken")
    letters = _byte_letters()
    spelled = {token: "".join(letters[byte] for byte in token) for token in ranks}
    merges = [
        _spelled_parts(token, rank, ranks, spelled)
        for token, rank in sorted(ranks.items(), key=lambda item: item[1])
        if len(token) > 1
    ]
    vocab = {spelled[token]: rank for token, rank in ranks.items()}
    tokenizer = Tokenizer(BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = Sequence(
        [
            Split(Regex(SPLIT_PATTERN), behavior="isolated"),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = ByteLevelDecoder()
    special: dict[str, int] = json.loads((TINY / "special_tokens.json").read_text())
    tokens = sorted(special, key=special.__getitem__)
    # Some of S2's control tokens are marked special, and some are not.
    tokenizer.add_special_tokens([AddedToken(token) for token in tokens[::2]])
    tokenizer.add_tokens([AddedToken(token) for token in tokens[1::2]])
    content = json.loads(tokenizer.to_str())
    for token in content["added_tokens"]:
        token["id"] = special[token["content"]]
    content["added_tokens"].sort(key=lambda token: token["id"])
    (folder / "tokenizer.json").write_text(json.dumps(content))


def _spelled_parts(
    token: bytes, rank: int, ranks: dict[bytes, int], spelled: dict[bytes, str]
) -> tuple[str, str]:
    """The two that this token was merged from: what is left of it before its own merge."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        pairs = [ranks.get(a + b, rank) for a, b in pairwise(parts)]
        at = min(range(len(pairs)), key=pairs.__getitem__)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return spelled[parts[0]], spelled[parts[1]]


def _byte_letters() -> dict[int, str]:
    """GPT-2's letter for each byte: printable ones stand for themselves, the others from 256 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {b: chr(256 + n) for n, b in enumerate(others)}


def _weights(*, fast_norm: bool) -> StateDict:
    state = read_state_dict(TINY)
    plain = {key: weight for key, weight in state.items() if key != "output.weight"}
    if fast_norm:
        generator = torch.Generator().manual_seed(11)
        for layer in range(2):
            for name in ("q_norm", "k_norm"):
                weight = 1 + 0.2 * torch.randn(16, generator=generator)
                plain[f"fast_layers.{layer}.attention.{name}.weight"] = weight.bfloat16()
    return {S2.of(key): weight for key, weight in plain.items()}


def _config(*, fast_norm: bool) -> dict[str, object]:
    flat = json.loads((TINY / "config.json").read_text())
    shared = {"rope_base": flat["rope_base"], "norm_eps": flat["norm_eps"], "use_moe": False}
    names = ("n_head", "n_local_heads", "dim", "intermediate_size", "head_dim")
    return {
        "model_type": "fish_qwen3_omni",
        "dtype": "bfloat16",
        "text_config": {
            **shared,
            **{name: flat[name] for name in names},
            "model_type": "fish_qwen3",
            "vocab_size": flat["vocab_size"],
            "n_layer": flat["n_layer"],
            "max_seq_len": flat["max_seq_len"],
            "attention_qk_norm": True,
            "tie_word_embeddings": True,
        },
        "audio_decoder_config": {
            **shared,
            **{name: flat[f"fast_{name}"] for name in names},
            "model_type": "fish_qwen3_audio_decoder",
            "vocab_size": flat["codebook_size"],
            "num_codebooks": flat["num_codebooks"],
            "n_layer": flat["n_fast_layer"],
            "text_dim": flat["dim"],
            "attention_qk_norm": fast_norm,
        },
    }
