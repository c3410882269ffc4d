"""The config.json of a CSM folder, and the values in it that must agree.

Names and defaults are those of transformers' CsmConfig, which the laptop does not import.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fintts_inputs.base_model.reading import Layers, NormEps, Size, validated
from fintts_inputs.base_model.shape import Ends, ModelShape, StackShape
from fintts_inputs.prompts import Prompt

CSM = "csm"
CSM_MODEL_TYPE = "csm"
CSM_PROMPT = Prompt("csm", "<|begin_of_text|>[0]TEXT<|end_of_text|>", most_tokens=6)


class CsmCodecFile(BaseModel):
    """The codec that made the codes; Mimi by default."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)

    codebook_size: Size = 2048


class CsmStackFile(BaseModel):
    """One of the two stacks."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)

    hidden_size: Size
    intermediate_size: Size = 8192
    num_hidden_layers: Layers
    num_attention_heads: Size
    num_key_value_heads: Size | None
    head_dim: Size | None = None
    rms_norm_eps: NormEps = 1e-5
    attention_bias: bool = False
    mlp_bias: bool = False

    @property
    def has_biases(self) -> bool:
        """Whether attention or MLP has a bias."""
        return self.attention_bias or self.mlp_bias

    @property
    def shape(self) -> StackShape:
        """Sizes and counts."""
        heads = self.num_attention_heads
        return StackShape(
            layers=self.num_hidden_layers,
            dim=self.hidden_size,
            heads=heads,
            kv_heads=self.num_key_value_heads or heads,
            head_dim=self.head_dim or self.hidden_size // heads,
            intermediate=self.intermediate_size,
            qk_norm=False,
        )


class CsmDepthFile(CsmStackFile):
    """The depth decoder, which predicts the other codes of a frame."""

    num_codebooks: int = 32
    backbone_hidden_size: int = 2048
    vocab_size: int = 2051
    hidden_size: Size = 1024
    num_hidden_layers: Layers = 4
    num_attention_heads: Size = 8
    num_key_value_heads: Size | None = 2
    max_position_embeddings: int = 33


class CsmConfigFile(CsmStackFile):
    """The backbone along time, and the keys that it shares with the depth decoder."""

    num_codebooks: int = Field(default=32, ge=2)
    vocab_size: Size = 2051
    """size of a codebook, including the codes for end and padding"""
    text_vocab_size: Size = 128256
    hidden_size: Size = 2048
    num_hidden_layers: Layers = 16
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 8
    max_position_embeddings: Size = 2048
    codebook_eos_token_id: int = Field(default=0, ge=0)
    tie_codebooks_embeddings: bool = True
    depth_decoder_config: CsmDepthFile = CsmDepthFile()
    codec_config: CsmCodecFile = CsmCodecFile()
    transformers_weights: str | None = None
    """the file with the weights, if it is not model.safetensors"""

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        depth = self.depth_decoder_config
        if self.has_biases or depth.has_biases:
            raise ValueError("biases in attention or MLP are not supported")
        pairs = (
            ("num_codebooks", self.num_codebooks, depth.num_codebooks),
            ("vocab_size", self.vocab_size, depth.vocab_size),
            ("hidden_size", self.hidden_size, depth.backbone_hidden_size),
        )
        for name, own, its in pairs:
            if own != its:
                raise ValueError(f"{name} is {own}, but its depth decoder has {its}")
        for name, most in (
            ("the codec's codebook_size", self.codec_config.codebook_size),
            ("codebook_eos_token_id", self.codebook_eos_token_id + 1),
        ):
            if most > self.vocab_size:
                raise ValueError(f"{name} does not fit in vocab_size {self.vocab_size}")
        if depth.max_position_embeddings < self.num_codebooks:
            raise ValueError("the depth decoder's max_position_embeddings are too few for a frame")
        return self


def read_csm(content: object, source: str) -> ModelShape:
    """The shape of a CSM model.

    Raises:
        BaseModelProblem: a key is missing, impossible or not supported.
    """
    return _csm_shape(validated(CsmConfigFile, content, source))


def _csm_shape(config: CsmConfigFile) -> ModelShape:
    slow, fast = config.shape, config.depth_decoder_config.shape
    return ModelShape(
        family=CSM,
        prompt=CSM_PROMPT,
        prompts=(CSM_PROMPT,),
        vocab_size=config.vocab_size,
        codebook_size=config.codec_config.codebook_size,
        code_choices=config.vocab_size,
        num_codebooks=config.num_codebooks,
        end_has_codes=True,
        slow=slow,
        second=fast,
        ends=_csm_ends(config, slow, fast),
        tied_codes=config.tie_codebooks_embeddings,
        max_seq_len=config.max_position_embeddings,
    )


def _csm_ends(config: CsmConfigFile, slow: StackShape, fast: StackShape) -> Ends:
    """The depth decoder embeds codes in the backbone's size, and projects them to its own. Its
    heads, one for each codebook but the first, are one parameter and no module: not adapted."""
    audio = (config.num_codebooks * config.vocab_size, slow.dim)
    text, head = (config.text_vocab_size, slow.dim), (slow.dim, config.vocab_size)
    once = (text, audio, head) if config.tie_codebooks_embeddings else (text, audio, audio, head)
    codebooks_head = (config.num_codebooks - 1) * fast.dim * config.vocab_size
    project = slow.dim * fast.dim
    return Ends(
        embeddings=(text, audio, audio),
        heads=(head,),
        parameters=codebooks_head + project + sum(inputs * outputs for inputs, outputs in once),
        weights_per_label=slow.dim * config.vocab_size,
        weights_per_frame=codebooks_head + config.num_codebooks * project,
    )
