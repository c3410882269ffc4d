"""The shape of a dual-AR base model, read from its config.json: sizes and counts, no weights."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fintts_inputs.base_model.csm import CsmConfigFile, CsmDepthFile
from fintts_inputs.base_model.s2 import (
    MOST,
    S2_MODEL_TYPE,
    Layers,
    NormEps,
    RopeBase,
    S2ConfigFile,
    Size,
)
from fintts_inputs.errors import BaseModelProblem, FolderMissing
from fintts_inputs.prompts import Prompt
from fintts_store.disk.reading import read_limited
from fintts_store.errors import StoreError
from fintts_store.runs.limits import TOKENIZER_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from fintts_inputs.config import Target

FISH, CSM = "fish", "csm"
FISH_MODEL_TYPE, CSM_MODEL_TYPE = "dual_ar", "csm"
AGAIN = "download the base model again"

Schema = TypeVar("Schema", bound=BaseModel)

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

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

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


class ModelKind(BaseModel):
    """The key of config.json that says which of the families it is."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    model_type: str


@dataclass(frozen=True, slots=True)
class Ends:
    """What is around the two stacks.

    Attributes:
        embeddings: (inputs, outputs) of what an adapter on the embeddings changes.
        heads: the same of the heads; one that is tied, or is no module, is not among them.
        parameters: of all embeddings, heads and projections; what is tied is counted once.
        weights_per_label: that a label on row 0 costs, beyond the slow stack.
        weights_per_frame: that all codes of a frame cost, beyond the fast stack.
    """

    embeddings: tuple[tuple[int, int], ...]
    heads: tuple[tuple[int, int], ...]
    parameters: int
    weights_per_label: int
    weights_per_frame: int


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A dual-AR text-to-semantic model: a slow stack over time, a fast one over the codebooks."""

    family: str
    """which of fintts_trainer.families reads the folder"""
    prompt: Prompt
    """that the model is served with"""
    vocab_size: int
    """what row 0 is chosen from; with CSM that is the first codebook"""
    codebook_size: int
    """the codes that may occur in the data"""
    code_choices: int
    """what a code is chosen from: with CSM a few more, for the end and for padding"""
    num_codebooks: int
    end_has_codes: bool
    """whether the end is a frame, whose codes are predicted too"""
    slow: StackShape
    fast: StackShape
    ends: Ends
    max_seq_len: int
    # What Fish Speech's models differ in. CSM's blocks take theirs from its own config.json.
    tied_head: bool = False
    tied_codes: bool = False
    """with CSM: the backbone and the depth decoder embed codes by one parameter"""
    scaled_embeddings: bool = False
    norm_fast_input: bool = False
    rope_base: float = 10_000
    norm_eps: float = 1e-5

    @classmethod
    def read(cls, folder: Path) -> ModelShape:
        """Reads FOLDER/config.json.

        Raises:
            FolderMissing: there is no such folder.
            BaseModelProblem: there is no such file, or it describes another kind of model.
        """
        refuse_no_base_model(folder)
        path = folder / "config.json"
        return cls.load(read_json(path), str(path))

    @classmethod
    def load(cls, content: object, source: str = "config.json") -> ModelShape:
        """From the parsed config.json of Fish Speech 1.5, OpenAudio S1-mini, S2 or CSM."""
        _refuse_infinite(content, source)
        shape = _shape(content, source)
        for stack in (shape.slow, shape.fast):
            _refuse_impossible(stack, source)
        return shape

    @property
    def parameters(self) -> int:
        """All frozen parameters, without a codec; what is tied is counted once."""
        return self.slow.parameters + self.fast.parameters + self.ends.parameters

    def lora_parameters(self, rank: int, targets: Iterable[Target]) -> int:
        """Parameters of an adapter: rank × (inputs + outputs) for each adapted matrix.

        Query, key and value are adapted apart, as PEFT's users have them: 8,595,456 for
        OpenAudio S1-mini at rank 8, where the reference trainer's fused matrix gives 8,071,168.
        """
        chosen = set(targets)
        shapes = [shape for target in chosen for shape in self._adapted(target)]
        return rank * sum(inputs + outputs for inputs, outputs in shapes)

    def fused_lora_parameters(self, rank: int, targets: Iterable[Target]) -> int:
        """The same adapter in Fish Speech's trainer, where query, key and value are one matrix.

        It has one A where there are three here.
        """
        stacks = (self.slow, self.fast) if "attention" in set(targets) else ()
        spared = sum(2 * stack.dim * stack.layers for stack in stacks)
        return self.lora_parameters(rank, targets) - rank * spared

    def _adapted(self, target: Target) -> list[tuple[int, int]]:
        if target == "embeddings":
            return list(self.ends.embeddings)
        if target == "heads":
            return list(self.ends.heads)
        slow, fast = self.slow, self.fast
        return slow.linears[target] * slow.layers + fast.linears[target] * fast.layers

    def training_flops(self, text_tokens: float, frames: float) -> float:
        """FLOPs of one optimisation pass over one utterance with a frozen base.

        Linears count 4 FLOPs a parameter and token (forward and gradient of the activations), the
        text head at label positions only, attention 12 × heads × head_dim × length² / 2 a layer
        (causal). 12.9 TFLOP for 8 × (300 frames + 100 text tokens) of S1-mini, 13.0 with the
        adapter's own, which are left out.
        """
        length, labels = text_tokens + frames, frames + 1
        coded = labels if self.end_has_codes else frames
        weights = (
            self.slow.linear_parameters * length
            + self.ends.weights_per_label * labels
            + self.fast.linear_parameters * self.num_codebooks * coded
            + self.ends.weights_per_frame * coded
        )
        attention = _attention_flops(self.slow, length)
        attention += coded * _attention_flops(self.fast, self.num_codebooks)
        return FLOPS_PER_PARAMETER_AND_TOKEN * weights + attention


def refuse_no_base_model(folder: Path) -> None:
    """Raises FolderMissing where there is no such folder."""
    if not folder.is_dir():
        raise FolderMissing(
            f"there is no base model folder {folder}",
            "set base_model to the folder that holds config.json, the weights and the tokenizer",
        )


def read_text(path: Path) -> str:
    """A text file of a base model's folder.

    Raises:
        BaseModelProblem: it is not there, or cannot be read.
    """
    try:
        return read_limited(path, TOKENIZER_BYTES).decode("utf-8")
    except FileNotFoundError:
        raise BaseModelProblem(
            f"the base model folder {path.parent} has no {path.name}",
            "give the folder that holds config.json, the weights and the tokenizer",
        ) from None
    except UnicodeDecodeError as error:
        raise BaseModelProblem(f"{path} cannot be read: {error}", AGAIN) from None
    except StoreError as error:
        raise BaseModelProblem(error.message, AGAIN) from None


def read_json(path: Path) -> object:
    """A JSON file of a base model's folder.

    Raises:
        BaseModelProblem: it is not there, cannot be read, or is not JSON.
    """
    return parse_json(read_text(path), str(path))


def parse_json(text: str | bytes, source: str) -> object:
    """The same of a text that was read already.

    Raises:
        BaseModelProblem: it is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BaseModelProblem(f"{source} is not JSON: {error}", AGAIN) from None


def _attention_flops(stack: StackShape, length: float) -> float:
    return 6 * stack.layers * stack.heads * stack.head_dim * length**2


def _refuse_infinite(content: object, source: str) -> None:
    """Python's reader of JSON takes NaN and Infinity, which JSON has no words for."""
    left: list[tuple[str, object]] = [("", content)]
    while left:
        key, value = left.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise BaseModelProblem(f"{source}: {key} is {value}, and not a number", AGAIN)
        if isinstance(value, dict):
            left += [(f"{key}.{name}".lstrip("."), one) for name, one in value.items()]
        elif isinstance(value, list):
            left += [(key, one) for one in value]


def _shape(content: object, source: str) -> ModelShape:
    kind = _validated(ModelKind, content, source).model_type
    if kind == FISH_MODEL_TYPE:
        config = _validated(FishConfigFile, content, source)
        # S1 came with both: scaled embeddings, and a prompt of its own.
        served = Prompt.FISH_S1 if config.scale_codebook_embeddings else Prompt.FISH_1_5
        return _fish_shape(config, served, source)
    if kind == S2_MODEL_TYPE:
        content = _validated(S2ConfigFile, content, source).as_dual_ar()
        config = _validated(FishConfigFile, content, source)
        return _fish_shape(config, Prompt.FISH_S2, source)
    if kind == CSM_MODEL_TYPE:
        return _csm_shape(_validated(CsmConfigFile, content, source))
    raise BaseModelProblem(
        f"{source}: model_type is {kind!r}, not {FISH_MODEL_TYPE!r}, {S2_MODEL_TYPE!r} or "
        f"{CSM_MODEL_TYPE!r}",
        "this version fine-tunes Fish Speech 1.5, OpenAudio S1-mini, S2 and CSM",
    )


def _validated(schema: type[Schema], content: object, source: str) -> Schema:
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":  # two keys that contradict each other
            said = first["msg"].removeprefix("Value error, ")
            raise BaseModelProblem(f"{source}: {said}") from None
        key = ".".join(str(part) for part in first["loc"])
        what = f"{key}: {first['msg']}" if key else "it is no table of keys and values"
        if key and first["type"] != "missing":
            what += f", not {json.dumps(first['input']):.40}"
        raise BaseModelProblem(f"{source}: {what}", AGAIN) from None


def _fish_shape(config: FishConfigFile, served: Prompt, source: str) -> ModelShape:
    _refuse_biases(config, source)
    slow, fast = _slow_stack(config), _fast_stack(config)
    return ModelShape(
        family=FISH,
        prompt=served,
        vocab_size=config.vocab_size,
        codebook_size=config.codebook_size,
        code_choices=config.codebook_size,
        num_codebooks=config.num_codebooks,
        end_has_codes=False,
        slow=slow,
        fast=fast,
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
    shares = stack.kv_heads > 0 and stack.heads % stack.kv_heads == 0
    if not shares or stack.head_dim < 1 or stack.head_dim % 2:
        raise BaseModelProblem(
            f"{source}: {stack.heads} heads of {stack.head_dim} cannot share {stack.kv_heads} "
            "key and value heads",
            AGAIN,
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


def _csm_shape(config: CsmConfigFile) -> ModelShape:
    depth = config.depth_decoder_config
    slow, fast = _csm_stack(config), _csm_stack(depth)
    return ModelShape(
        family=CSM,
        prompt=Prompt.CSM,
        vocab_size=config.vocab_size,
        codebook_size=config.codec_config.codebook_size,
        code_choices=config.vocab_size,
        num_codebooks=config.num_codebooks,
        end_has_codes=True,
        slow=slow,
        fast=fast,
        ends=_csm_ends(config, slow, fast),
        tied_codes=config.tie_codebooks_embeddings,
        max_seq_len=config.max_position_embeddings,
    )


def _csm_stack(config: CsmConfigFile | CsmDepthFile) -> StackShape:
    heads = config.num_attention_heads
    return StackShape(
        layers=config.num_hidden_layers,
        dim=config.hidden_size,
        heads=heads,
        kv_heads=config.num_key_value_heads or heads,
        head_dim=config.head_dim or config.hidden_size // heads,
        intermediate=config.intermediate_size,
        qk_norm=False,
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
