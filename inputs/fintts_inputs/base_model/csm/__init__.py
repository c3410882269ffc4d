"""CSM, Sesame's conversational speech model, in the format of transformers."""

from __future__ import annotations

from fintts_inputs.base_model.csm import weights
from fintts_inputs.base_model.csm.config import CSM, CSM_MODEL_TYPE, CSM_PROMPT, read_csm
from fintts_inputs.base_model.family import Family, Modules

CSM_FAMILY = Family(
    name=CSM,
    titles=("CSM",),
    readers={CSM_MODEL_TYPE: read_csm},
    prompts=(CSM_PROMPT,),
    modules=Modules(
        slow="backbone_model",
        fast="depth_decoder.model",
        embeddings=(
            "embed_text_tokens",
            "backbone_model.embed_tokens.embed_audio_tokens",
            "depth_decoder.model.embed_tokens",
        ),
        heads=("lm_head",),
    ),
    expected=weights.expected_once,
    deciding_keys=weights.deciding_keys_in_file,
    left_out=weights.CODEC,
)
