"""Generated codes against recorded greedy outputs of the reference implementation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fintts_inputs.base_model.families import read_config
from fintts_inputs.base_model.fish.prompts import FISH_1_5, FISH_S1
from fintts_inputs.speech.sampling import SamplingOptions
from fintts_trainer.families.fish import FishBase, FishFamily
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.families.fish.prompt import LAYOUTS, encode_request
from fintts_trainer.families.fish.speech import FishFrames
from fintts_trainer.synthesis.cache import KeyValueCache
from fintts_trainer.synthesis.request import Reference, SpeechRequest
from parity_fixtures import recorded_folders

pytestmark = pytest.mark.parity

FILE = "expected_generation.json"
LAYOUT_NAMES = {"serving": FISH_S1, "chat": FISH_1_5}
CASES = [
    (folder, number)
    for folder in recorded_folders(FILE, "model.pth")
    for number in range(len(json.loads((folder / FILE).read_text())["cases"]))
]


class Recorded:
    """One case, with the model that it was recorded of."""

    def __init__(self, folder: Path, number: int) -> None:
        self.case: dict[str, Any] = json.loads((folder / FILE).read_text())["cases"][number]
        recorded = load_file(folder / "expected_generation.safetensors")
        self.of = {
            name.partition(".")[2]: value
            for name, value in recorded.items()
            if name.startswith(f"{number}.")
        }
        self.base: FishBase = FishFamily().open(
            read_config(folder), LAYOUT_NAMES[self.case["layout"]]
        )
        self.model: DualAR = self.base.load(torch.float32).eval()
        self.request = SpeechRequest(
            text=self.case["text"],
            codebook_sizes=(self.base.shape.codebook_size,) * self.base.shape.num_codebooks,
            most_frames=self.case["max_new_tokens"],
            sampling=SamplingOptions(
                temperature=0, repetition_penalty=self.case["repetition_penalty"]
            ),
            references=self._references(folder),
            as_fish=True,
        )

    def _references(self, folder: Path) -> tuple[Reference, ...]:
        reference = self.case["reference"]
        if reference is None:
            return ()
        key = reference["codes"].partition(" ")[0]
        codes = load_file(folder / "expected.safetensors")[key].numpy().astype(np.int64)
        return (Reference(reference["text"], codes),)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0].name}-{case[1]}")
def recorded(request: pytest.FixtureRequest) -> Recorded:
    return Recorded(*request.param)


def test_there_are_fixtures() -> None:
    assert len(CASES) >= 14


def test_codes_are_equal(recorded: Recorded) -> None:
    frames: list[int] = []
    found = recorded.base.synthesise(recorded.model, recorded.request, frames.append)
    np.testing.assert_array_equal(found.codes, recorded.of["codes"].numpy())
    assert found.ended == recorded.case["ended"]
    assert frames == list(range(1, recorded.case["frames"] + 1))


def test_prompt_and_first_scores_are_equal(recorded: Recorded) -> None:
    base, request, model = recorded.base, recorded.request, recorded.model
    rows = 1 + base.shape.num_codebooks
    layout = LAYOUTS[base.prompt]
    prompt = encode_request(base.tokenizer, layout, request.text, request.references, rows)
    np.testing.assert_array_equal(prompt, recorded.of["prompt"].numpy())
    frames = FishFrames(model, base.tokenizer.end_id, request.codebook_sizes, prompt.shape[1])
    with torch.no_grad():
        row, scores = frames.read(torch.from_numpy(prompt))
        first = recorded.of["codes"][:1, 0].long()
        cache = KeyValueCache(base.shape.num_codebooks)
        second = model.fast_scores(model.first_fast_inputs(row, first), cache.for_transformers)[0]
    wanted = recorded.of["first_token_logits"]
    torch.testing.assert_close(scores, wanted, atol=1e-4, rtol=0)
    wanted = recorded.of["first_codebook_logits"][1]
    torch.testing.assert_close(second, wanted, atol=1e-4, rtol=0)
