"""Fish Speech 1.5, OpenAudio S1-mini and S2."""

from __future__ import annotations

from fintts_inputs.base_model.family import Family, Modules
from fintts_inputs.base_model.fish import weights
from fintts_inputs.base_model.fish.config import FISH, FISH_MODEL_TYPE, read_fish
from fintts_inputs.base_model.fish.prompts import PROMPTS
from fintts_inputs.base_model.fish.s2 import S2_MODEL_TYPE, read_s2

FISH_FAMILY = Family(
    name=FISH,
    titles=("Fish Speech 1.5", "OpenAudio S1-mini", "S2"),
    readers={FISH_MODEL_TYPE: read_fish, S2_MODEL_TYPE: read_s2},
    prompts=PROMPTS,
    modules=Modules(
        slow="slow",
        fast="fast",
        embeddings=("slow.embed_tokens", "codebook_embeddings", "fast.embed_tokens"),
        heads=("lm_head", "fast_head"),
    ),
    expected=weights.spelled,
    deciding_keys=weights.deciding_keys_in_file,
    key_in_file=weights.key_in_file,
    may_be_pickled=True,
)
