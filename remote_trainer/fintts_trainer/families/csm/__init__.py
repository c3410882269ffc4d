"""CSM, Sesame's conversational speech model, as transformers has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_inputs.base_model.csm.config import CSM, CsmConfigFile
from fintts_inputs.base_model.families import read_shape
from fintts_inputs.base_model.reading import read_json
from fintts_inputs.errors import BaseModelProblem
from fintts_trainer.families.csm.model import CsmDualAR, build
from fintts_trainer.families.csm.prompt import encode
from fintts_trainer.families.csm.tokenizer import CsmTokenizer
from fintts_trainer.families.csm.weights import load_into, read_state_dict

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import torch

    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.config import Target
    from fintts_inputs.prompts import Prompt
    from fintts_trainer.families.base import Example

TARGETS: dict[Target, tuple[str, ...]] = {
    "attention": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "mlp": ("gate_proj", "up_proj", "down_proj"),
    "embeddings": ("embed_text_tokens", "embed_audio_tokens", "depth_decoder.model.embed_tokens"),
    "heads": ("lm_head",),
}
"""The depth decoder's heads, `codebooks_head`, are left out: they are one parameter of three
dimensions and no nn.Linear, which `target_modules` of PEFT cannot adapt. (`target_parameters` can,
at the price of the whole matrix's difference in each forward pass.)"""


@dataclass(frozen=True)
class CsmBase:
    """A CSM folder, understood but not loaded."""

    folder: Path
    shape: ModelShape
    config: CsmConfigFile
    tokenizer: CsmTokenizer
    prompt: Prompt

    @property
    def targets(self) -> dict[Target, tuple[str, ...]]:
        """Tied embeddings of the audio codes are adapted apart, as PEFT does it in transformers'
        CsmForConditionalGeneration: merged, they are no longer tied."""
        return TARGETS

    def encode(self, text: str, codes: npt.NDArray[np.int64]) -> Example:
        """The processor's prompt around one utterance."""
        return encode(self.tokenizer, self.config, text, codes)

    def load(self, dtype: torch.dtype) -> CsmDualAR:
        """The model with its frozen weights in `dtype`, on the CPU.

        Raises:
            BaseModelProblem: weights are missing, unexpected or misshapen.
        """
        model = build(self.folder / "config.json")
        load_into(model, read_state_dict(self.folder), self.shape)
        model.to(dtype).requires_grad_(requires_grad=False)
        model.add_tables()
        return model


class CsmFamily:
    """Folders with config.json of model type `csm`, safetensors and tokenizer.json."""

    name = CSM

    def open(self, folder: Path, prompt: Prompt | None = None) -> CsmBase:
        """Reads configuration and tokenizer; there is one prompt alone.

        Raises:
            BaseModelProblem: a file is missing or malformed, or the two do not fit each other.
        """
        shape = read_shape(folder)
        if shape.family != CSM:
            raise BaseModelProblem(f"{folder} holds a model of family {shape.family}, not {CSM}")
        config = CsmConfigFile.model_validate(read_json(folder / "config.json"))
        tokenizer = CsmTokenizer.read(folder)
        if tokenizer.size > config.text_vocab_size:
            raise BaseModelProblem(
                f"the tokenizer of {folder} has ids up to {tokenizer.size - 1}, "
                f"but the model knows {config.text_vocab_size}"
            )
        return CsmBase(folder, shape, config, tokenizer, prompt or shape.prompt)
