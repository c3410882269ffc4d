"""The shape of a dual-AR base model, read from its config.json: sizes and counts, no weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fintts_trainer.errors import BaseModelProblem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from fintts_trainer.config import Target

FISH = "fish"
AGAIN = "download the base model again"

FLOPS_PER_PARAMETER_AND_TOKEN = 4
"""Forward 2, gradient of the activations 2; a frozen weight needs no gradient of its own."""


@dataclass(frozen=True, slots=True)
class StackShape:
    """One transformer: the slow one along time, or the fast one along the codebooks."""

    layers: int
    dim: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    qk_norm: bool

    @property
    def linears(self) -> dict[Target, list[tuple[int, int]]]:
        """(inputs, outputs) of the linears of one layer."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "attention": [(self.dim, q), (self.dim, kv), (self.dim, kv), (q, self.dim)],
            "mlp": [
                (self.dim, self.intermediate),
                (self.dim, self.intermediate),
                (self.intermediate, self.dim),
            ],
        }

    @property
    def linear_parameters(self) -> int:
        """Parameters of all layers' linears: what the FLOPs are counted from."""
        each = sum(i * o for shapes in self.linears.values() for i, o in shapes)
        return self.layers * each

    @property
    def parameters(self) -> int:
        """All parameters of the layers and of the norm behind the last one."""
        norms = 2 * self.dim + (2 * self.head_dim if self.qk_norm else 0)
        return self.linear_parameters + self.layers * norms + self.dim


class FishConfigFile(BaseModel):
    """config.json of a `dual_ar` model as Fish Speech writes it; unknown keys are ignored there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model_type: str
    vocab_size: int = Field(ge=1)
    n_layer: int = Field(ge=1)
    n_head: int = Field(ge=1)
    dim: int = Field(ge=1)
    intermediate_size: int = Field(ge=1)
    n_local_heads: int = -1
    head_dim: int | None = None
    rope_base: float = 10_000
    norm_eps: float = 1e-5
    max_seq_len: int = 2048
    tie_word_embeddings: bool = True
    attention_qkv_bias: bool = False
    attention_o_bias: bool = False
    attention_qk_norm: bool = False
    codebook_size: int = Field(ge=1)
    num_codebooks: int = Field(ge=1)
    scale_codebook_embeddings: bool = False
    norm_fastlayer_input: bool = False
    n_fast_layer: int = 4
    fast_dim: int | None = None
    fast_n_head: int | None = None
    fast_n_local_heads: int | None = None
    fast_head_dim: int | None = None
    fast_intermediate_size: int | None = None
    fast_attention_qkv_bias: bool | None = None
    fast_attention_o_bias: bool | None = None
    fast_attention_qk_norm: bool | None = None


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A dual-AR text-to-semantic model: a slow stack over time, a fast one over the codebooks."""

    family: str
    """which of fintts_trainer.families reads the folder"""
    vocab_size: int
    codebook_size: int
    num_codebooks: int
    slow: StackShape
    fast: StackShape
    tied_head: bool
    scaled_embeddings: bool
    norm_fast_input: bool
    rope_base: float
    norm_eps: float
    max_seq_len: int

    @classmethod
    def read(cls, folder: Path) -> ModelShape:
        """Reads FOLDER/config.json.

        Raises:
            BaseModelProblem: there is no such file, or it describes another kind of model.
        """
        path = folder / "config.json"
        return cls.load(read_json(path), str(path))

    @classmethod
    def load(cls, content: object, source: str = "config.json") -> ModelShape:
        """From the parsed config.json of v1.5, OpenAudio S1-mini and their like."""
        try:
            config = FishConfigFile.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            what = f"{key}: {first['msg']}" if key else "it is no table of keys and values"
            raise BaseModelProblem(f"{source}: {what}", AGAIN) from None
        _refuse_unsupported(config, source)
        return cls(
            family=FISH,
            vocab_size=config.vocab_size,
            codebook_size=config.codebook_size,
            num_codebooks=config.num_codebooks,
            slow=_slow_stack(config),
            fast=_fast_stack(config),
            tied_head=config.tie_word_embeddings,
            scaled_embeddings=config.scale_codebook_embeddings,
            norm_fast_input=config.norm_fastlayer_input,
            rope_base=config.rope_base,
            norm_eps=config.norm_eps,
            max_seq_len=config.max_seq_len,
        )

    @property
    def parameters(self) -> int:
        """All frozen parameters, the tied head counted once."""
        embeddings = self.vocab_size * self.slow.dim
        codebook_embeddings = self.codebook_size * self.num_codebooks * self.slow.dim
        fast_ends = 2 * self.codebook_size * self.fast.dim
        head = 0 if self.tied_head else embeddings
        project = 0 if self.slow.dim == self.fast.dim else (self.slow.dim + 1) * self.fast.dim
        stacks = self.slow.parameters + self.fast.parameters
        return embeddings + codebook_embeddings + fast_ends + head + project + stacks

    def lora_parameters(self, rank: int, targets: Iterable[Target]) -> int:
        """Parameters of an adapter: rank × (inputs + outputs) for each adapted matrix.

        Query, key and value are adapted apart, as PEFT's users have them: 8,595,456 for
        OpenAudio S1-mini at rank 8, where the reference trainer's fused matrix gives 8,071,168.
        """
        chosen = set(targets)
        shapes = [shape for target in chosen for shape in self._adapted(target)]
        return rank * sum(inputs + outputs for inputs, outputs in shapes)

    def _adapted(self, target: Target) -> list[tuple[int, int]]:
        slow, fast = self.slow, self.fast
        if target == "embeddings":
            codes = self.codebook_size * self.num_codebooks
            ends = [(self.vocab_size, slow.dim), (codes, slow.dim)]
            return [*ends, (self.codebook_size, fast.dim)]
        if target == "heads":
            text_head = [] if self.tied_head else [(slow.dim, self.vocab_size)]
            return [*text_head, (fast.dim, self.codebook_size)]
        return slow.linears[target] * slow.layers + fast.linears[target] * fast.layers

    def training_flops(self, text_tokens: float, frames: float) -> float:
        """FLOPs of one optimisation pass over one utterance with a frozen base.

        Linears count 4 FLOPs a parameter and token (forward and gradient of the activations), the
        text head at label positions only, attention 12 × heads × head_dim × length² / 2 a layer
        (causal). 12.9 TFLOP for 8 × (300 frames + 100 text tokens) of S1-mini, 13.0 with the
        adapter's own, which are left out.
        """
        length = text_tokens + frames
        rows = frames * self.num_codebooks
        per_token = FLOPS_PER_PARAMETER_AND_TOKEN
        linear = per_token * self.slow.linear_parameters * length
        head = per_token * self.vocab_size * self.slow.dim * (frames + 1)
        fast_weights = self.fast.linear_parameters + self.codebook_size * self.fast.dim
        fast = per_token * fast_weights * rows
        attention = _attention_flops(self.slow, length)
        return (
            linear
            + head
            + fast
            + attention
            + frames * _attention_flops(self.fast, self.num_codebooks)
        )


def read_text(path: Path) -> str:
    """A text file of a base model's folder.

    Raises:
        BaseModelProblem: it is not there, or cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BaseModelProblem(
            f"the base model folder {path.parent} has no {path.name}",
            "give the folder that holds config.json, model.pth, tokenizer.tiktoken and "
            "special_tokens.json",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BaseModelProblem(f"{path} cannot be read: {error}", AGAIN) from None


def read_json(path: Path) -> object:
    """A JSON file of a base model's folder.

    Raises:
        BaseModelProblem: it is not there, cannot be read, or is not JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise BaseModelProblem(f"{path} is not JSON: {error}", AGAIN) from None


def _attention_flops(stack: StackShape, length: float) -> float:
    return 6 * stack.layers * stack.heads * stack.head_dim * length**2


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
    """What the file does not say of the fast stack is as in the slow one."""
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


def _refuse_impossible(stack: StackShape, source: str) -> None:
    if stack.heads % stack.kv_heads or stack.head_dim % 2:
        raise BaseModelProblem(
            f"{source}: {stack.heads} heads of {stack.head_dim} cannot share {stack.kv_heads} "
            "key and value heads",
            AGAIN,
        )


def _refuse_unsupported(config: FishConfigFile, source: str) -> None:
    if config.model_type != "dual_ar":
        raise BaseModelProblem(
            f"{source}: model_type is {config.model_type!r}, not 'dual_ar'",
            "this version fine-tunes Fish Speech 1.5 and OpenAudio S1-mini",
        )
    for stack in (_slow_stack(config), _fast_stack(config)):
        _refuse_impossible(stack, source)
    biases = (
        config.attention_qkv_bias,
        config.attention_o_bias,
        config.fast_attention_qkv_bias,
        config.fast_attention_o_bias,
    )
    if any(biases):
        raise BaseModelProblem(f"{source}: attention biases are not supported")
