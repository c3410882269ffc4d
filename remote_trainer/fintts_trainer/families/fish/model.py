"""Fish Speech's dual-AR model, built of two Hugging Face transformers.

The slow one reads text and frames along time and predicts the next token of row 0. The fast one
starts from the slow one's hidden state and predicts the codes of one frame, codebook by codebook.
Source: fish_speech/models/text2semantic/llama.py of Fish Speech at d3df505, Apache-2.0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel, Qwen3Config, Qwen3Model

from fintts_trainer.families.base import Batch, Predictions
from fintts_trainer.families.heads import projection
from fintts_trainer.model.attention import CAUSAL_ATTENTION

if TYPE_CHECKING:
    from transformers import Cache

    from fintts_inputs.base_model.shape import ModelShape, StackShape
    from fintts_trainer.families.base import Projection
    from fintts_trainer.families.fish.tokenizer import FishTokenizer


class RoundedRotary(nn.Module):
    """Rotary angles whose cosine and sine are rounded to bfloat16.

    The released weights were trained and are served with a table in bfloat16; without rounding,
    the logits differ by 6e-3.
    """

    def __init__(self, head_dim: int, base: float) -> None:
        super().__init__()
        exponents = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
        self.inverse_frequencies = nn.Buffer(1.0 / base**exponents, persistent=False)

    @torch.no_grad()
    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine, each [batch, T, head_dim] in the type of `x`."""
        half = position_ids[..., None].float() * self.inverse_frequencies.float()
        angles = torch.cat((half, half), dim=-1)
        return angles.cos().bfloat16().to(x.dtype), angles.sin().bfloat16().to(x.dtype)


class DualAR(nn.Module):
    """Slow and fast stack with their embeddings and heads; `TARGETS` lists the module names."""

    def __init__(self, shape: ModelShape, semantic_begin_id: int, semantic_end_id: int) -> None:
        super().__init__()
        slow, fast, size = shape.slow, shape.fast, shape.codebook_size
        self.shape = shape
        self.semantic_begin_id, self.semantic_end_id = semantic_begin_id, semantic_end_id
        self.slow = _stack(slow, shape, vocabulary=shape.vocab_size, length=shape.max_seq_len)
        # The fast stack may need the hidden state before the final norm, so the norm moves out.
        self.norm: nn.Module = self.slow.norm
        self.slow.add_module("norm", nn.Identity())
        self.codebook_embeddings = nn.Embedding(size * shape.num_codebooks, slow.dim)
        self.lm_head = (
            None if shape.tied_head else nn.Linear(slow.dim, shape.vocab_size, bias=False)
        )
        same = slow.dim == fast.dim
        self.fast_project_in = nn.Identity() if same else nn.Linear(slow.dim, fast.dim)
        self.fast = _stack(fast, shape, vocabulary=size, length=shape.num_codebooks)
        self.fast_head = nn.Linear(fast.dim, size, bias=False)

    def add_tables(self) -> None:
        """Computes rotary tables and code offsets, which no file holds; in float32 and int64.

        Call it once, outside of a meta device and after a change of type.
        """
        shape = self.shape
        for stack, sizes in ((self.slow, shape.slow), (self.fast, shape.fast)):
            stack.add_module("rotary_emb", RoundedRotary(sizes.head_dim, shape.rope_base))
        offsets = torch.arange(shape.num_codebooks) * shape.codebook_size
        self.codebook_offsets = nn.Buffer(offsets, persistent=False)

    def forward(self, batch: Batch) -> Predictions:
        """Predictions at label positions, teacher-forced."""
        hidden = self.slow_hidden(batch.inputs, frames=batch.frames)
        rows = hidden.flatten(0, 1).index_select(0, batch.labelled)
        normed = self.norm(rows)
        token_labels, code_labels = batch.picked_labels()
        fast_rows = (normed if self.shape.norm_fast_input else rows).index_select(0, batch.coded)
        return Predictions(
            self.token_scores(normed),
            token_labels,
            projection(self.fast_head, self._fast_hidden(fast_rows, code_labels).flatten(0, 1)),
            code_labels,
        )

    def slow_hidden(
        self, inputs: Tensor, cache: Cache | None = None, frames: Tensor | None = None
    ) -> Tensor:
        """[batch, 1 + codebooks, T] → [batch, T, dim], before the final norm.

        Right padding needs no mask: with causal attention a valid position never sees it.

        Args:
            cache: the earlier positions; the new ones are added to it.
            frames: as `Batch.frames`; None finds them.
        """
        return _last_hidden(self.slow, self._embed(inputs, frames), cache)

    def token_scores(self, normed: Tensor) -> Projection:
        """The scores of row 0, from hidden states [rows, dim] after the final norm."""
        head = self.slow.embed_tokens if self.lm_head is None else self.lm_head
        return projection(head, normed)

    def first_fast_inputs(self, rows: Tensor, first: Tensor) -> Tensor:
        """Inputs [frames, 2, dim] of the fast stack, from the slow one's rows and first codes."""
        return torch.stack([self.fast_project_in(rows), self.fast.embed_tokens(first)], dim=1)

    def fast_scores(self, inputs: Tensor, cache: Cache) -> Tensor:
        """The scores [frames, classes] of the code after the last of `inputs` [frames, n, dim]."""
        hidden = _last_hidden(self.fast, inputs, cache)[:, -1]
        return projection(self.fast_head, hidden).logits()

    def _embed(self, inputs: Tensor, frames: Tensor | None = None) -> Tensor:
        """Embeds tokens; at semantic positions adds the sum of the codes' embeddings."""
        embedded = self.slow.embed_tokens(inputs[:, 0])
        if frames is None:
            frames = self._is_semantic(inputs[:, 0]).flatten().nonzero()[:, 0]
        columns = inputs.transpose(1, 2).flatten(0, 1).index_select(0, frames)
        codes = columns[:, 1:] + self.codebook_offsets
        flat = embedded.flatten(0, 1)
        summed = flat.index_select(0, frames) + self.codebook_embeddings(codes).sum(dim=1)
        if self.shape.scaled_embeddings:
            summed = summed / math.sqrt(self.shape.num_codebooks + 1)
        combined = flat.index_copy(0, frames, summed.to(flat.dtype))
        return cast("Tensor", combined.view_as(embedded))

    def _fast_hidden(self, rows: Tensor, codes: Tensor) -> Tensor:
        """Hidden states [frames, dim], codes [frames, codebooks] → [frames, codebooks, dim]."""
        start = self.fast_project_in(rows)[:, None]
        inputs = torch.cat([start, self.fast.embed_tokens(codes[:, :-1])], dim=1)
        return _last_hidden(self.fast, inputs)

    def _is_semantic(self, ids: Tensor) -> Tensor:
        return (ids >= self.semantic_begin_id) & (ids <= self.semantic_end_id)


def build(shape: ModelShape, tokenizer: FishTokenizer) -> DualAR:
    """A model without weights, on the meta device: it takes no memory until they are assigned."""
    with torch.device("meta"):
        return DualAR(shape, tokenizer.semantic_begin_id, tokenizer.semantic_end_id)


def _last_hidden(stack: nn.Module, embedded: Tensor, cache: Cache | None = None) -> Tensor:
    output = stack(inputs_embeds=embedded, use_cache=False, past_key_values=cache)
    return cast("Tensor", output.last_hidden_state)


def _stack(
    stack: StackShape, shape: ModelShape, *, vocabulary: int, length: int
) -> LlamaModel | Qwen3Model:
    """A stack of Qwen3 blocks if query and key are normalised, of Llama blocks otherwise."""
    settings: dict[str, object] = {
        "vocab_size": vocabulary,
        "hidden_size": stack.dim,
        "num_hidden_layers": stack.layers,
        "num_attention_heads": stack.heads,
        "num_key_value_heads": stack.kv_heads,
        "head_dim": stack.head_dim,
        "intermediate_size": stack.intermediate,
        "rms_norm_eps": shape.norm_eps,
        "attention_bias": False,
        "max_position_embeddings": length,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_base},
        "use_cache": False,
        "attn_implementation": CAUSAL_ATTENTION,
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    if stack.qk_norm:
        return Qwen3Model(Qwen3Config.from_dict(settings))
    return LlamaModel(LlamaConfig.from_dict(settings))
