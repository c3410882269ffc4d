"""A family that no package of the program knows: a plain language model over one stream of codes.

As Orpheus and Llasa are built: Llama's blocks, and codes that are tokens of its vocabulary. It is
what somebody writes who adds a family: `PLAIN_FAMILY` for the laptop, `PlainFamily` for training.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel

from fintts_inputs.base_model.families import BaseModelConfig
from fintts_inputs.base_model.family import Family, Modules
from fintts_inputs.base_model.fitting import refuse_misfit
from fintts_inputs.base_model.reading import Size, read_json, validated
from fintts_inputs.base_model.shape import Ends, ModelShape, StackShape
from fintts_inputs.base_model.sides import Side, Sides, StackKeys, llama_stack, sides_of
from fintts_inputs.config import Target
from fintts_inputs.errors import BaseModelProblem, SpeechProblem
from fintts_inputs.prompts import Prompt
from fintts_trainer.families.base import Batch, Example, Predictions
from fintts_trainer.families.csm.tokenizer import CsmTokenizer
from fintts_trainer.families.heads import projection
from fintts_trainer.families.weight_files import read_state_dict, stored
from fintts_trainer.model.attention import CAUSAL_ATTENTION
from fintts_trainer.synthesis.cache import KeyValueCache
from fintts_trainer.synthesis.frames import Choices, generate, plain, with_room
from fintts_trainer.synthesis.request import Sampling, Speech, SpeechRequest
from tiny_csm import TEXT_SIZE, write_tokenizer

CODES = 64
SERVED = Sampling(temperature=0.8)
PROMPT = Prompt("plain", "<|begin_of_text|>TEXT<|end_of_text|>", most_tokens=2)
KEYS = StackKeys("layers", "dim", "heads", "kv_heads", "head_dim", "intermediate")
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


class PlainConfigFile(BaseModel):
    """config.json; the vocabulary is text, then codes, then the end."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    layers: Size
    dim: Size
    heads: Size
    kv_heads: Size
    head_dim: Size
    intermediate: Size
    text_size: Size
    codes: Size
    max_seq_len: Size


def read_plain(content: object, source: str) -> ModelShape:
    config = validated(PlainConfigFile, content, source)
    vocabulary = config.text_size + config.codes + 1
    return ModelShape(
        family="plain",
        prompt=PROMPT,
        prompts=(PROMPT,),
        vocab_size=vocabulary,
        codebook_size=config.codes,
        code_choices=config.codes,
        num_codebooks=1,
        end_has_codes=False,
        slow=StackShape(
            layers=config.layers,
            dim=config.dim,
            heads=config.heads,
            kv_heads=config.kv_heads,
            head_dim=config.head_dim,
            intermediate=config.intermediate,
            qk_norm=False,
        ),
        second=None,
        ends=Ends(
            embeddings=((vocabulary, config.dim),),
            heads=((config.dim, vocabulary),),
            parameters=2 * vocabulary * config.dim,
            weights_per_label=vocabulary * config.dim,
            weights_per_frame=0,
        ),
        max_seq_len=config.max_seq_len,
    )


def expected(_names: Collection[str], shape: ModelShape) -> dict[str, Sides]:
    side = sides_of(shape.slow, KEYS)
    classes = Side(shape.vocab_size, ("text_size", "codes"))
    ends: dict[str, Sides] = {EMBEDDING: (classes, side.dim), HEAD: (classes, side.dim)}
    return {**ends, **llama_stack("model.", shape.slow, KEYS)}


def deciding_keys(name: str, _names: Collection[str], _shape: ModelShape) -> tuple[str, ...]:
    return ("layers",) if name.startswith("model.layers.") else ()


PLAIN_FAMILY = Family(
    name="plain",
    titles=("plain language models",),
    readers={"plain_lm": read_plain},
    prompts=(PROMPT,),
    modules=Modules(slow="model", embeddings=("model.embed_tokens",), heads=("lm_head",)),
    expected=expected,
    deciding_keys=deciding_keys,
)


class PlainModel(nn.Module):
    """Llama's blocks, whose head is read at label positions alone."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        stack = shape.slow
        settings: dict[str, object] = {
            "vocab_size": shape.vocab_size,
            "hidden_size": stack.dim,
            "num_hidden_layers": stack.layers,
            "num_attention_heads": stack.heads,
            "num_key_value_heads": stack.kv_heads,
            "head_dim": stack.head_dim,
            "intermediate_size": stack.intermediate,
            "max_position_embeddings": shape.max_seq_len,
            "pad_token_id": None,
            "bos_token_id": None,
            "eos_token_id": None,
            "use_cache": False,
            "attn_implementation": CAUSAL_ATTENTION,
        }
        self.model = LlamaModel(LlamaConfig.from_dict(settings))
        self.lm_head = nn.Linear(stack.dim, shape.vocab_size, bias=False)

    def forward(self, batch: Batch) -> Predictions:
        hidden = self.model(input_ids=batch.inputs[:, 0]).last_hidden_state
        rows = hidden.flatten(0, 1).index_select(0, batch.labelled)
        return Predictions(projection(self.lm_head, rows), batch.picked_labels()[0])


class PlainFrames:
    """A `FrameModel`: one token a frame, and one for the end."""

    def __init__(
        self, model: PlainModel, shape: ModelShape, size: int, cache: KeyValueCache
    ) -> None:
        self.model, self.cache = model, cache
        self.first, self.end = shape.vocab_size - shape.codebook_size - 1, shape.vocab_size - 1
        self.codes = torch.arange(self.first, self.first + size)

    def next_column(self, columns: Tensor, choices: Choices) -> Tensor | None:
        read = self.model.model(input_ids=columns, past_key_values=self.cache)
        scores = projection(self.model.lm_head, read.last_hidden_state[0, -1:]).logits()[0]
        end = self.codes.new_tensor([] if choices.is_first else [self.end])
        token = choices.draw(0, scores, torch.cat([self.codes, end]))
        return None if int(token) == self.end else token[None]


@dataclass(frozen=True)
class PlainBase:
    folder: Path
    shape: ModelShape
    tokenizer: CsmTokenizer
    prompt: Prompt

    @property
    def targets(self) -> dict[Target, tuple[str, ...]]:
        return {
            "attention": ("q_proj", "k_proj", "v_proj", "o_proj"),
            "mlp": ("gate_proj", "up_proj", "down_proj"),
            "embeddings": ("embed_tokens",),
            "heads": ("lm_head",),
        }

    def encode(self, text: str, codes: npt.NDArray[np.int64]) -> Example:
        tokenizer, first = self.tokenizer, self.shape.vocab_size - self.shape.codebook_size - 1
        before = [tokenizer.begin_id, *tokenizer.encode_text(text), tokenizer.end_id]
        tokens = np.array([[*before, *(first + codes[0]), self.shape.vocab_size - 1]])
        return Example(tokens, text_length=len(before), end_has_codes=False)

    def synthesise(
        self, model: nn.Module, request: SpeechRequest, on_frame: Callable[[int], None]
    ) -> Speech:
        if request.references:
            raise SpeechProblem("this model takes no references")
        own, (size,) = cast("PlainModel", plain(model)), request.codebook_sizes
        none = np.zeros((1, 0), dtype=np.int64)
        columns = torch.from_numpy(self.encode(request.text, none).tokens[:, :-1])
        request = with_room(columns.shape[1], request, self.shape.max_seq_len)
        cache = KeyValueCache(columns.shape[1] + request.most_frames)
        frames = PlainFrames(own, self.shape, size, cache)
        made = generate(frames, columns, request, SERVED.changed(request.sampling), on_frame)
        return Speech(made.columns.numpy() - frames.first, made.ended, made.disallowed)

    def load(self, dtype: torch.dtype) -> PlainModel:
        state = read_state_dict(self.folder)
        refuse_misfit(stored(state), self.shape)
        model = PlainModel(self.shape)
        model.load_state_dict(state)
        # The tables of the rotation are no weights: they stay exact.
        for parameter in model.parameters():
            parameter.data = parameter.data.to(dtype)
        return model.requires_grad_(requires_grad=False)


class PlainFamily:
    name = "plain"

    def open(self, config: BaseModelConfig, prompt: Prompt | None = None) -> PlainBase:
        folder, shape = config.folder, config.shape
        if shape.family != self.name:
            raise BaseModelProblem(f"{folder} has a model of family {shape.family}")
        return PlainBase(folder, shape, CsmTokenizer.read(folder), prompt or shape.prompt)


def write_plain_lm(folder: Path) -> Path:
    """Configuration, weights and tokenizer of a tiny one; always the same."""
    folder.mkdir()
    content = {
        "model_type": "plain_lm",
        "layers": 2,
        "dim": 32,
        "heads": 4,
        "kv_heads": 2,
        "head_dim": 8,
        "intermediate": 40,
        "text_size": TEXT_SIZE,
        "codes": CODES,
        "max_seq_len": 256,
    }
    (folder / "config.json").write_text(json.dumps(content))
    write_tokenizer(folder / "tokenizer.json")
    shape = read_plain(read_json(folder / "config.json"), "config.json")
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        state: dict[str, Tensor] = {
            name: 0.3 * torch.randn([side.size for side in sides]) + (len(sides) == 1)
            for name, sides in expected((), shape).items()
        }
    save_file(state, folder / "model.safetensors")
    return folder
