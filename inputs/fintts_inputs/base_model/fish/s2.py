"""The config.json of Fish Audio S2, which has its two stacks in separate sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from fintts_inputs.base_model.fish.config import FishConfigFile, FishStackFile, fish_shape
from fintts_inputs.base_model.fish.prompts import FISH_S2
from fintts_inputs.base_model.reading import Size, validated

if TYPE_CHECKING:
    from fintts_inputs.base_model.shape import ModelShape

S2_MODEL_TYPE = "fish_qwen3_omni"


def read_s2(content: object, source: str) -> ModelShape:
    """The shape of S2.

    Raises:
        BaseModelProblem: a key is missing, impossible or not supported.
    """
    content = validated(S2ConfigFile, content, source).as_dual_ar()
    return fish_shape(validated(FishConfigFile, content, source), FISH_S2, source)


class S2StackFile(FishStackFile):
    """One stack. Names and defaults are those of S1-mini's config.json."""

    use_moe: Literal[False] = False


class S2DecoderFile(S2StackFile):
    """The fast stack; its vocabulary is one codebook."""

    num_codebooks: Size
    text_dim: int | None = None


class S2ConfigFile(BaseModel):
    """config.json of model type `fish_qwen3_omni`."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)

    text_config: S2StackFile
    audio_decoder_config: S2DecoderFile
    scale_codebook_embeddings: bool = True
    norm_fastlayer_input: bool = True

    @model_validator(mode="after")
    def _stacks_suit_each_other(self) -> Self:
        slow, fast = self.text_config, self.audio_decoder_config
        if fast.text_dim not in (None, slow.dim):
            raise ValueError(f"text_dim is {fast.text_dim}, but text_config says {slow.dim}")
        if (slow.rope_base, slow.norm_eps) != (fast.rope_base, fast.norm_eps):
            raise ValueError("the two stacks differ in rope_base or norm_eps")
        return self

    def as_dual_ar(self) -> dict[str, object]:
        """The same with the keys of a `dual_ar` model's config.json."""
        slow, fast = self.text_config, self.audio_decoder_config
        return {
            **slow.model_dump(exclude={"use_moe"}),
            "model_type": "dual_ar",
            "codebook_size": fast.vocab_size,
            "num_codebooks": fast.num_codebooks,
            "scale_codebook_embeddings": self.scale_codebook_embeddings,
            "norm_fastlayer_input": self.norm_fastlayer_input,
            "n_fast_layer": fast.n_layer,
            "fast_dim": fast.dim,
            "fast_n_head": fast.n_head,
            "fast_n_local_heads": fast.n_head if fast.n_local_heads == -1 else fast.n_local_heads,
            "fast_head_dim": fast.head_dim or fast.dim // fast.n_head,
            "fast_intermediate_size": fast.intermediate_size,
            "fast_attention_qkv_bias": fast.attention_qkv_bias,
            "fast_attention_o_bias": fast.attention_o_bias,
            "fast_attention_qk_norm": fast.attention_qk_norm,
        }
