"""The config.json of Fish Speech's `dual_ar` models: 1.5 and OpenAudio S1-mini."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from fintts_inputs.base_model.fish.prompts import FISH_1_5, FISH_S1, PROMPTS
from fintts_inputs.base_model.reading import (
    MOST,
    Layers,
    NormEps,
    RopeBase,
    Size,
    validated,
)
from fintts_inputs.base_model.shape import Ends, ModelShape, StackShape
from fintts_inputs.errors import BaseModelProblem

if TYPE_CHECKING:
    from fintts_inputs.prompts import Prompt

FISH = "fish"
FISH_MODEL_TYPE = "dual_ar"


class FishStackFile(BaseModel):
    """One stack. Ignores unknown keys, as Fish Speech does."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)

    vocab_size: Size
    n_layer: Layers
    n_head: Size
    dim: Size
    intermediate_size: Size
    n_local_heads: int = Field(default=-1, ge=-1, le=MOST)
    head_dim: Size | None = None
    rope_base: RopeBase = 10_000
    norm_eps: NormEps = 1e-5
    max_seq_len: Size = 2048
    tie_word_embeddings: bool = True
    attention_qkv_bias: bool = False
    attention_o_bias: bool = False
    attention_qk_norm: bool = False


class FishConfigFile(FishStackFile):
    """The slow stack, and where the fast one differs."""

    codebook_size: Size
    num_codebooks: Size
    scale_codebook_embeddings: bool = False
    norm_fastlayer_input: bool = False
    n_fast_layer: Layers = 4
    fast_dim: Size | None = None
    fast_n_head: Size | None = None
    fast_n_local_heads: Size | None = None
    fast_head_dim: Size | None = None
    fast_intermediate_size: Size | None = None
    fast_attention_qkv_bias: bool | None = None
    fast_attention_o_bias: bool | None = None
    fast_attention_qk_norm: bool | None = None


def read_fish(content: object, source: str) -> ModelShape:
    """The shape of Fish Speech 1.5 or OpenAudio S1-mini.

    Raises:
        BaseModelProblem: a key is missing, impossible or not supported.
    """
    config = validated(FishConfigFile, content, source)
    # S1 came with both: scaled embeddings, and a prompt of its own.
    served = FISH_S1 if config.scale_codebook_embeddings else FISH_1_5
    return fish_shape(config, served, source)


def fish_shape(config: FishConfigFile, served: Prompt, source: str) -> ModelShape:
    """The shape that a configuration with these keys describes."""
    _refuse_biases(config, source)
    slow, fast = _slow_stack(config), _fast_stack(config)
    return ModelShape(
        family=FISH,
        prompt=served,
        prompts=PROMPTS,
        vocab_size=config.vocab_size,
        codebook_size=config.codebook_size,
        code_choices=config.codebook_size,
        num_codebooks=config.num_codebooks,
        end_has_codes=False,
        slow=slow,
        second=fast,
        ends=_fish_ends(config, slow, fast),
        max_seq_len=config.max_seq_len,
        tied_head=config.tie_word_embeddings,
        scaled_embeddings=config.scale_codebook_embeddings,
        norm_fast_input=config.norm_fastlayer_input,
        rope_base=config.rope_base,
        norm_eps=config.norm_eps,
    )


def _fish_ends(config: FishConfigFile, slow: StackShape, fast: StackShape) -> Ends:
    text, codes = config.vocab_size * slow.dim, config.codebook_size * config.num_codebooks
    embeddings = (
        (config.vocab_size, slow.dim),
        (codes, slow.dim),
        (config.codebook_size, fast.dim),
    )
    text_head = () if config.tie_word_embeddings else ((slow.dim, config.vocab_size),)
    heads = (*text_head, (fast.dim, config.codebook_size))
    project = 0 if slow.dim == fast.dim else (slow.dim + 1) * fast.dim
    return Ends(
        embeddings=embeddings,
        heads=heads,
        parameters=project + sum(inputs * outputs for inputs, outputs in (*embeddings, *heads)),
        weights_per_label=text,
        weights_per_frame=codes * fast.dim,
    )


def _slow_stack(config: FishConfigFile) -> StackShape:
    kv_heads = config.n_head if config.n_local_heads == -1 else config.n_local_heads
    return StackShape(
        layers=config.n_layer,
        dim=config.dim,
        heads=config.n_head,
        kv_heads=kv_heads,
        head_dim=config.head_dim or config.dim // config.n_head,
        intermediate=config.intermediate_size,
        qk_norm=config.attention_qk_norm,
    )


def _fast_stack(config: FishConfigFile) -> StackShape:
    """Keys of the fast stack that are missing have the values of the slow one."""
    slow = _slow_stack(config)
    qk_norm = config.fast_attention_qk_norm
    return StackShape(
        layers=config.n_fast_layer,
        dim=config.fast_dim or slow.dim,
        heads=config.fast_n_head or slow.heads,
        kv_heads=config.fast_n_local_heads or slow.kv_heads,
        head_dim=config.fast_head_dim or slow.head_dim,
        intermediate=config.fast_intermediate_size or slow.intermediate,
        qk_norm=slow.qk_norm if qk_norm is None else qk_norm,
    )


def _refuse_biases(config: FishConfigFile, source: str) -> None:
    biases = (
        config.attention_qkv_bias,
        config.attention_o_bias,
        config.fast_attention_qkv_bias,
        config.fast_attention_o_bias,
    )
    if any(biases):
        raise BaseModelProblem(f"{source}: attention biases are not supported")
