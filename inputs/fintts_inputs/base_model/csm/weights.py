"""The weights of CSM under their names in transformers, without those of the codec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.base_model.sides import Side, Sides, StackKeys, llama_stack
from fintts_inputs.errors import BaseModelProblem

if TYPE_CHECKING:
    from collections.abc import Collection

    from fintts_inputs.base_model.shape import ModelShape

CODEC = "codec_model."
BACKBONE_AUDIO = "backbone_model.embed_tokens.embed_audio_tokens.weight"
DEPTH_AUDIO = "depth_decoder.model.embed_tokens.weight"
TIED = (BACKBONE_AUDIO, DEPTH_AUDIO)
"""One parameter if config.json ties them; a release may have either of them, or both."""

SLOW, FAST = "backbone_model.", "depth_decoder.model."
SLOW_KEYS = StackKeys(
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
)
FAST_KEYS = StackKeys(*(f"depth_decoder_config.{key}" for key in SLOW_KEYS))


def expected(shape: ModelShape) -> dict[str, Sides]:
    """Each weight that config.json describes, including both of two tied ones."""
    return {
        **_ends(shape),
        **llama_stack(SLOW, shape.slow, SLOW_KEYS),
        **llama_stack(FAST, shape.fast, FAST_KEYS),
    }


def expected_once(names: Collection[str], shape: ModelShape) -> dict[str, Sides]:
    """The expected weights; of two tied ones, only those in `names`."""
    wanted = expected(shape)
    absent = [name for name in TIED if name not in names]
    if shape.tied_codes and len(absent) == 1:
        del wanted[absent[0]]
    return wanted


def tied_apart() -> BaseModelProblem:
    """The error for two tied weights that are both stored and differ."""
    return BaseModelProblem(
        f"config.json ties {BACKBONE_AUDIO} and {DEPTH_AUDIO}, but they differ",
        "set tie_codebooks_embeddings to false there if they were trained separately",
    )


def deciding_keys(name: str) -> tuple[str, ...]:
    """The keys of config.json that decide whether a weight of this name exists."""
    if name in TIED:
        return ("tie_codebooks_embeddings",)
    for stack, keys in ((SLOW, SLOW_KEYS), (FAST, FAST_KEYS)):
        if name.startswith(f"{stack}layers."):
            return (keys.layers,)
    return ()


def deciding_keys_in_file(
    name: str, _names: Collection[str], _shape: ModelShape
) -> tuple[str, ...]:
    """The key itself, since this release has only one spelling."""
    return deciding_keys(name)


def _ends(shape: ModelShape) -> dict[str, Sides]:
    codebooks, size = shape.num_codebooks, shape.vocab_size
    text_size = shape.ends.embeddings[0][0]
    slow = Side(shape.slow.dim, (SLOW_KEYS.dim,))
    fast = Side(shape.fast.dim, (FAST_KEYS.dim,))
    codes = Side(size, ("vocab_size",))
    audio: Sides = (Side(codebooks * size, ("num_codebooks", "vocab_size")), slow)
    return {
        "embed_text_tokens.weight": (Side(text_size, ("text_vocab_size",)), slow),
        BACKBONE_AUDIO: audio,
        DEPTH_AUDIO: audio,
        "lm_head.weight": (codes, slow),
        f"{FAST}inputs_embeds_projector.weight": (fast, slow),
        "depth_decoder.codebooks_head.weight": (
            Side(codebooks - 1, ("num_codebooks",)),
            fast,
            codes,
        ),
    }
