"""CSM, Sesame's conversational speech model, in transformers' format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_inputs.base_model.csm.config import CSM, CsmConfigFile
from fintts_inputs.errors import BaseModelProblem
from fintts_trainer.families.csm.model import CsmDualAR, build
from fintts_trainer.families.csm.prompt import encode, encode_request
from fintts_trainer.families.csm.speech import speak
from fintts_trainer.families.csm.tokenizer import CsmTokenizer
from fintts_trainer.families.csm.weights import load_into, read_state_dict

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import nn

    from fintts_inputs.base_model.families import BaseModelConfig
    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.config import Target
    from fintts_inputs.prompts import Prompt
    from fintts_trainer.families.base import Example
    from fintts_trainer.synthesis.request import Speech, SpeechRequest

TARGETS: dict[Target, tuple[str, ...]] = {
    "attention": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "mlp": ("gate_proj", "up_proj", "down_proj"),
    "embeddings": ("embed_text_tokens", "embed_audio_tokens", "depth_decoder.model.embed_tokens"),
    "heads": ("lm_head",),
}
"""The depth decoder's heads, `codebooks_head`, are missing: they are one three-dimensional
parameter, not an nn.Linear, so PEFT's `target_modules` cannot adapt them. (`target_parameters` can,
but computes the difference of the whole matrix in each forward pass.)"""


@dataclass(frozen=True)
class CsmBase:
    """A CSM model whose configuration and tokenizer are read, but not its weights."""

    file: BaseModelConfig
    config: CsmConfigFile
    tokenizer: CsmTokenizer
    prompt: Prompt

    @property
    def shape(self) -> ModelShape:
        """Sizes and counts."""
        return self.file.shape

    @property
    def targets(self) -> dict[Target, tuple[str, ...]]:
        """Each of two tied embeddings of the audio codes gets its own adapter, as PEFT does it in
        transformers' CsmForConditionalGeneration; after a merge they are no longer tied."""
        return TARGETS

    def encode(self, text: str, codes: npt.NDArray[np.int64]) -> Example:
        """An utterance in the processor's prompt; codes are int64 [codebooks, frames]."""
        return encode(self.tokenizer, self.config, text, codes)

    def synthesise(
        self, model: nn.Module, request: SpeechRequest, on_frame: Callable[[int], None]
    ) -> Speech:
        """Generates the codes of a text with this model's weights, and the adapter on them.

        Raises:
            SpeechProblem: the text is too long, or the request is about Fish Speech.
        """
        prompt = encode_request(self.tokenizer, self.config, request.text, request.references)
        return speak(model, self.config, prompt, request, on_frame)

    def load(self, dtype: torch.dtype) -> CsmDualAR:
        """Loads the frozen weights in `dtype` on the CPU.

        Raises:
            BaseModelProblem: weights are missing, unexpected or misshapen.
        """
        model = build(self.file)
        load_into(model, read_state_dict(self.file.folder), self.shape)
        model.to(dtype).requires_grad_(requires_grad=False)
        model.add_tables()
        return model


class CsmFamily:
    """Folders with a config.json of model type `csm`, safetensors and tokenizer.json."""

    name = CSM

    def open(self, config: BaseModelConfig, prompt: Prompt | None = None) -> CsmBase:
        """Reads the tokenizer; there is only one prompt.

        Raises:
            BaseModelProblem: the tokenizer is missing or malformed, or does not fit the model.
        """
        folder, shape = config.folder, config.shape
        if shape.family != CSM:
            raise BaseModelProblem(f"{folder} has a model of family {shape.family}, not {CSM}")
        own = CsmConfigFile.model_validate(config.content)
        tokenizer = CsmTokenizer.read(folder)
        if tokenizer.size > own.text_vocab_size:
            raise BaseModelProblem(
                f"the tokenizer of {folder} has ids up to {tokenizer.size - 1}, "
                f"but the model has {own.text_vocab_size} text tokens"
            )
        return CsmBase(config, own, tokenizer, prompt or shape.prompt)
