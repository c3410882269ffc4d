"""Fish Speech's dual-AR models (1.5, OpenAudio S1-mini, S2), built of transformers' blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_inputs.base_model.fish.config import FISH
from fintts_inputs.errors import BaseModelProblem
from fintts_trainer.families.fish.model import DualAR, build
from fintts_trainer.families.fish.prompt import LAYOUTS, encode, encode_request
from fintts_trainer.families.fish.speech import speak
from fintts_trainer.families.fish.tokenizer import FishTokenizer
from fintts_trainer.families.fish.weights import load_into
from fintts_trainer.families.weight_files import read_state_dict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
    "embeddings": ("embed_tokens", "codebook_embeddings"),
    "heads": ("lm_head", "fast_head"),
}


@dataclass(frozen=True)
class FishBase:
    """A Fish Speech model whose configuration and tokenizer are read, but not its weights."""

    folder: Path
    shape: ModelShape
    tokenizer: FishTokenizer
    prompt: Prompt

    @property
    def targets(self) -> dict[Target, tuple[str, ...]]:
        """The modules by target; a tied head has no module of its own: it is the embedding."""
        if not self.shape.tied_head:
            return TARGETS
        return {**TARGETS, "heads": ("fast_head",)}

    def encode(self, text: str, codes: npt.NDArray[np.int64]) -> Example:
        """An utterance in its prompt; codes are int64 [codebooks, frames]."""
        return encode(self.tokenizer, LAYOUTS[self.prompt], text, codes)

    def synthesise(
        self, model: nn.Module, request: SpeechRequest, on_frame: Callable[[int], None]
    ) -> Speech:
        """Generates the codes of a text with this model's weights, and the adapter on them.

        Raises:
            SpeechProblem: the text is too long, or the model takes no references.
        """
        rows = 1 + self.shape.num_codebooks
        prompt = encode_request(
            self.tokenizer, LAYOUTS[self.prompt], request.text, request.references, rows
        )
        return speak(model, self.tokenizer, self.prompt, prompt, request, on_frame)

    def load(self, dtype: torch.dtype) -> DualAR:
        """Loads the frozen weights in `dtype` on the CPU.

        Raises:
            BaseModelProblem: weights are missing, unexpected or misshapen.
        """
        model = build(self.shape, self.tokenizer)
        load_into(model, read_state_dict(self.folder))
        model.to(dtype).requires_grad_(requires_grad=False)
        model.add_tables()
        return model


class FishFamily:
    """Folders with config.json, weights and tokenizer, as released for 1.5, S1-mini and S2."""

    name = FISH

    def open(self, config: BaseModelConfig, prompt: Prompt | None = None) -> FishBase:
        """Reads the tokenizer.

        Args:
            prompt: the one around each utterance; None is the one that the model is served with.

        Raises:
            BaseModelProblem: the tokenizer is missing or malformed, or does not fit the model.
        """
        folder, shape = config.folder, config.shape
        tokenizer = FishTokenizer.read(folder, shape.codebook_size)
        if tokenizer.size > shape.vocab_size:
            raise BaseModelProblem(
                f"the tokenizer of {folder} has ids up to {tokenizer.size - 1}, "
                f"but the model has {shape.vocab_size} tokens"
            )
        chosen = prompt or shape.prompt
        for token in LAYOUTS[chosen].control:
            tokenizer.id_of(token)
        return FishBase(folder, shape, tokenizer, chosen)
