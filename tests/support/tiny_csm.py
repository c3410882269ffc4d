"""A tiny CSM with random weights: a folder as transformers writes it."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import CsmConfig, CsmForConditionalGeneration

CODEBOOKS, CODES, CHOICES = 4, 64, 67
CONTROL = ("<|begin_of_text|>", "<|end_of_text|>", "<|AUDIO|>", "<|audio_eos|>")
TEXT_SIZE = 256 + len(CONTROL)
# How Llama 3 splits its text.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def write_tiny_csm(folder: Path, *, tied: bool = False) -> Path:
    """Configuration, weights (with those of a tiny Mimi) and tokenizer; always the same."""
    folder.mkdir()
    model = tiny_csm(tied=tied)
    model.save_pretrained(folder)  # type: ignore[no-untyped-call]  # transformers' own
    (folder / "generation_config.json").unlink()
    write_tokenizer(folder / "tokenizer.json")
    return folder


def tiny_csm(*, tied: bool = False) -> CsmForConditionalGeneration:
    """transformers' own model, with weights large enough that every part of it matters."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(11)
        model = new_csm(_config(tied=tied))
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for name, buffer in model.codec_model.named_buffers():
            if name.endswith("embed_sum"):
                buffer.copy_(torch.randn_like(buffer))
        if tied:
            shared = model.depth_decoder.model.embed_tokens.weight
            model.backbone_model.embed_tokens.embed_audio_tokens.weight = shared
    return model


def new_csm(config: CsmConfig) -> CsmForConditionalGeneration:
    """transformers' model with its own initial weights; transformers gives it no types."""
    model = CsmForConditionalGeneration(config)  # type: ignore[no-untyped-call]
    model.train(mode=False)
    return model


def write_tokenizer(path: Path) -> None:
    """Bytes as they are, and the control tokens that the processor knows."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in CONTROL])
    tokenizer.save(str(path))


def _config(*, tied: bool) -> CsmConfig:
    stack: dict[str, object] = {
        "num_codebooks": CODEBOOKS,
        "vocab_size": CHOICES,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5,
    }
    codec: dict[str, object] = {
        "model_type": "mimi",
        "codebook_size": CODES,
        "num_quantizers": CODEBOOKS,
        "num_semantic_quantizers": 1,
        "codebook_dim": 8,
        "vector_quantization_hidden_dimension": 8,
        "hidden_size": 16,
        "num_filters": 2,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "intermediate_size": 16,
        "upsample_groups": 16,
    }
    begin = TEXT_SIZE - len(CONTROL)
    content: dict[str, object] = {
        **stack,
        "hidden_size": 32,
        "text_vocab_size": TEXT_SIZE,
        "max_position_embeddings": 256,
        "codebook_pad_token_id": CHOICES - 1,
        "bos_token_id": begin,
        "pad_token_id": begin + 2,
        "audio_token_id": begin + 2,
        "audio_eos_token_id": begin + 3,
        "tie_codebooks_embeddings": tied,
        "depth_decoder_config": {
            **stack,
            "backbone_hidden_size": 32,
            "hidden_size": 24,
            "max_position_embeddings": CODEBOOKS + 1,
        },
        "codec_config": codec,
    }
    return CsmConfig.from_dict(content)
