"""config.json of a CSM folder, as transformers writes it: what it says, and what must agree in it.

Names and defaults are those of transformers' CsmConfig, which the laptop does not import.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fintts_inputs.base_model.s2 import Layers, NormEps, Size


class CsmCodecFile(BaseModel):
    """The codec that made the codes: Mimi, unless it is said."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    codebook_size: Size = 2048


class CsmDepthFile(BaseModel):
    """The depth decoder, which predicts the other codes of a frame."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    num_codebooks: int = 32
    backbone_hidden_size: int = 2048
    vocab_size: int = 2051
    hidden_size: Size = 1024
    intermediate_size: Size = 8192
    num_hidden_layers: Layers = 4
    num_attention_heads: Size = 8
    num_key_value_heads: Size | None = 2
    head_dim: Size | None = None
    max_position_embeddings: int = 33
    rms_norm_eps: NormEps = 1e-5
    attention_bias: bool = False
    mlp_bias: bool = False


class CsmConfigFile(BaseModel):
    """The backbone along time, and what it shares with the depth decoder."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    num_codebooks: int = Field(default=32, ge=2)
    vocab_size: Size = 2051
    """codes of a codebook with those that mean the end and padding"""
    text_vocab_size: Size = 128256
    hidden_size: Size = 2048
    intermediate_size: Size = 8192
    num_hidden_layers: Layers = 16
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 8
    head_dim: Size | None = None
    max_position_embeddings: Size = 2048
    codebook_eos_token_id: int = Field(default=0, ge=0)
    tie_codebooks_embeddings: bool = True
    rms_norm_eps: NormEps = 1e-5
    attention_bias: bool = False
    mlp_bias: bool = False
    depth_decoder_config: CsmDepthFile = CsmDepthFile()
    codec_config: CsmCodecFile = CsmCodecFile()
    transformers_weights: str | None = None
    """the file of the weights, where it is not model.safetensors"""

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        depth = self.depth_decoder_config
        if any((self.attention_bias, self.mlp_bias, depth.attention_bias, depth.mlp_bias)):
            raise ValueError("biases in attention or MLP are not supported")
        pairs = (
            ("num_codebooks", self.num_codebooks, depth.num_codebooks),
            ("vocab_size", self.vocab_size, depth.vocab_size),
            ("hidden_size", self.hidden_size, depth.backbone_hidden_size),
        )
        for name, own, its in pairs:
            if own != its:
                raise ValueError(f"{name} is {own}, but its depth decoder was made for {its}")
        for name, most in (
            ("the codec's codebook_size", self.codec_config.codebook_size),
            ("codebook_eos_token_id", self.codebook_eos_token_id + 1),
        ):
            if most > self.vocab_size:
                raise ValueError(f"{name} does not fit into vocab_size {self.vocab_size}")
        if depth.max_position_embeddings < self.num_codebooks:
            raise ValueError("the depth decoder's max_position_embeddings are too few for a frame")
        return self
