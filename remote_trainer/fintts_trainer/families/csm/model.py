"""CSM for training: transformers' backbone and depth decoder, with the embeddings between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from transformers import CsmBackboneModel, CsmConfig, CsmDepthDecoderForCausalLM
from transformers.models.csm.modeling_csm import CsmRotaryEmbedding

from fintts_inputs.errors import BaseModelProblem
from fintts_trainer.families.base import Batch, ComputedScores, Predictions
from fintts_trainer.families.heads import projection
from fintts_trainer.model.attention import CAUSAL_ATTENTION

if TYPE_CHECKING:
    from transformers import Cache

    from fintts_inputs.base_model.families import BaseModelConfig

# Keys that the two stacks do not read; transformers would warn of text ids beyond the audio
# vocabulary.
UNREAD = dict.fromkeys(
    ("pad_token_id", "bos_token_id", "audio_token_id", "audio_eos_token_id", "codec_config")
)
OURS = {"attn_implementation": CAUSAL_ATTENTION}


class CsmDualAR(nn.Module):
    """The modules of transformers' CsmForConditionalGeneration without the codec.

    The module names are the same, so an adapter fits both. The loss differs in one point: the depth
    decoder is trained on all frames, where the original draws one in sixteen at random to save
    memory. The expected gradient is the same, with less noise.
    """

    def __init__(self, config: CsmConfig) -> None:
        super().__init__()
        self.text_vocab_size = config.text_vocab_size
        self.embed_text_tokens = nn.Embedding(config.text_vocab_size, config.hidden_size)
        # transformers gives these two no types.
        self.backbone_model = CsmBackboneModel(config)  # type: ignore[no-untyped-call]
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        depth = config.depth_decoder_config
        self.depth_decoder = CsmDepthDecoderForCausalLM(depth)  # type: ignore[no-untyped-call]

    def add_tables(self) -> None:
        """Computes rotary tables and code offsets, which no file holds; always in float32.

        Call it once, outside of a meta device and after a change of type.
        """
        for stack in (self.backbone_model, self.depth_decoder.model):
            stack.rotary_emb = CsmRotaryEmbedding(cast("CsmConfig", stack.config))
        embeddings = self.backbone_model.embed_tokens
        codebooks, size = embeddings.audio_tokens_offsets.numel(), self.lm_head.out_features
        offsets = torch.arange(codebooks) * size
        embeddings.audio_tokens_offsets = nn.Buffer(offsets, persistent=False)

    def tie_audio_embeddings(self) -> None:
        """Makes both embeddings of audio codes share one parameter; each module keeps its own
        adapter."""
        shared = self.backbone_model.embed_tokens.embed_audio_tokens.weight
        self.depth_decoder.model.embed_tokens.weight = shared

    def forward(self, batch: Batch) -> Predictions:
        """Predictions at label positions, teacher-forced."""
        hidden = self.hidden(batch.inputs, frames=batch.frames)
        rows = hidden.flatten(0, 1).index_select(0, batch.labelled)
        token_labels, others = batch.picked_labels()
        first = token_labels - self.text_vocab_size
        code_logits = self._code_logits(rows, first, others)
        codes = ComputedScores(code_logits.flatten(0, 1))
        return Predictions(projection(self.lm_head, rows), first, codes, others)

    def hidden(
        self, inputs: Tensor, cache: Cache | None = None, frames: Tensor | None = None
    ) -> Tensor:
        """[batch, codebooks, T] → [batch, T, dim], after the final norm.

        Right padding needs no mask: with causal attention a valid position never sees it.

        Args:
            cache: the earlier positions; the new ones are added to it.
            frames: as `Batch.frames`; None finds them.
        """
        output = self.backbone_model(
            inputs_embeds=self._embed(inputs, frames), use_cache=False, past_key_values=cache
        )
        return cast("Tensor", output.last_hidden_state)

    def next_code_scores(self, ids: Tensor, cache: Cache, rows: Tensor | None = None) -> Tensor:
        """The depth decoder's scores [frames, classes] of the code after the last of `ids`.

        Args:
            ids: [frames, n] of new inputs; the first one of a frame is a placeholder.
            rows: hidden states [frames, dim] in place of that placeholder.
        """
        output = self.depth_decoder(
            input_ids=ids,
            backbone_last_hidden_state=rows,
            use_cache=False,
            past_key_values=cache,
            logits_to_keep=1,
        )
        return cast("Tensor", output.logits[:, -1])

    def _embed(self, inputs: Tensor, frames: Tensor | None = None) -> Tensor:
        """Embeds text tokens, and each frame as the sum of its codes' embeddings."""
        is_frame = inputs[:, 0] >= self.text_vocab_size
        if frames is None:
            frames = is_frame.flatten().nonzero()[:, 0]
        text = self.embed_text_tokens(inputs[:, 0].masked_fill(is_frame, 0))
        codes = inputs.transpose(1, 2).flatten(0, 1).index_select(0, frames)
        codes[:, 0] -= self.text_vocab_size
        summed = self.backbone_model.embed_tokens(codes[None])[0]
        flat = text.flatten(0, 1)
        return cast("Tensor", flat.index_copy(0, frames, summed.to(text.dtype)).view_as(text))

    def _code_logits(self, rows: Tensor, first: Tensor, others: Tensor) -> Tensor:
        """Hidden states [frames, dim], codes [frames] and [frames, codebooks - 1] → logits.

        The depth decoder reads the hidden state in place of its first input, then the codes except
        the last.
        """
        placeholder = torch.zeros_like(first)
        ids = torch.cat([torch.stack([placeholder, first], dim=1), others[:, :-1]], dim=1)
        output = self.depth_decoder(input_ids=ids, backbone_last_hidden_state=rows, use_cache=False)
        return cast("Tensor", output.logits)


def build(file: BaseModelConfig) -> CsmDualAR:
    """A model without weights, on the meta device: it takes no memory until they are assigned.

    Raises:
        BaseModelProblem: transformers rejects the configuration.
    """
    content = TypeAdapter(dict[str, object]).validate_python(file.content)
    try:
        config = CsmConfig.from_dict({**content, **UNREAD, **OURS})
        with torch.device("meta"):
            return CsmDualAR(config)
    # transformers validates in many places, with different errors.
    except (ValueError, TypeError, KeyError) as error:
        path = file.folder / "config.json"
        raise BaseModelProblem(f"transformers rejects {path}: {error}") from None
