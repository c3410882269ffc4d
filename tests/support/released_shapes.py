"""config.json of released models, as far as it is read; without their weights."""

from __future__ import annotations

from typing import Any

S1_MINI: dict[str, Any] = {
    "model_type": "dual_ar",
    "vocab_size": 155_776,
    "n_layer": 28,
    "n_head": 16,
    "n_local_heads": 8,
    "head_dim": 128,
    "dim": 1024,
    "intermediate_size": 3072,
    "attention_qk_norm": True,
    "tie_word_embeddings": False,
    "scale_codebook_embeddings": True,
    "codebook_size": 4096,
    "num_codebooks": 10,
    "n_fast_layer": 4,
    "fast_head_dim": 64,
    "fast_attention_qk_norm": False,
}

S2_STACK: dict[str, Any] = {
    "attention_o_bias": False,
    "attention_qkv_bias": False,
    "dim": 2560,
    "head_dim": 128,
    "intermediate_size": 9728,
    "n_head": 32,
    "n_local_heads": 8,
    "norm_eps": 1e-6,
    "rope_base": 1_000_000,
    "use_moe": False,
}
S2_PRO: dict[str, Any] = {
    "model_type": "fish_qwen3_omni",
    "text_config": {
        **S2_STACK,
        "attention_qk_norm": True,
        "n_layer": 36,
        "vocab_size": 155_776,
        "max_seq_len": 32_768,
        "tie_word_embeddings": True,
    },
    "audio_decoder_config": {
        **S2_STACK,
        "attention_qk_norm": False,
        "n_layer": 4,
        "vocab_size": 4096,
        "num_codebooks": 10,
        "max_seq_len": 11,
        "text_dim": 2560,
    },
}
