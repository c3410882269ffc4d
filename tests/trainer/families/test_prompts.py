"""The prompts against those that the reference implementations recorded, token by token."""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file

from checks import every
from fintts_inputs.base_model.csm.config import CSM_PROMPT
from fintts_inputs.base_model.families import parse_shape, prompts, read_config
from fintts_inputs.base_model.files import TIKTOKEN
from fintts_inputs.base_model.fish.prompts import FISH_1_5, FISH_JOINED, FISH_S1, FISH_S2, PROMPTS
from fintts_inputs.errors import BaseModelProblem, ConfigurationChanged
from fintts_inputs.prompts import Prompt, of_another_prompt, prompt_begun_with
from fintts_trainer.families import open_base
from fintts_trainer.families.fish import FishBase, FishFamily
from fintts_trainer.families.fish.prompt import LAYOUTS, SPEAKER, cleaned
from released_shapes import S1_MINI, S2_PRO
from tiny_csm import write_tiny_csm
from tiny_run import TINY
from tiny_s2 import write_tiny_s2

HERE = Path(__file__).parents[2] / "trainer/fixtures"
V15 = HERE / "fish_v15_tiny"
NAMED = [Path(p) for p in os.environ.get("FINTTS_PARITY_FIXTURES", "").split(os.pathsep) if p]
RECORDED = "expected_generation.json"
CASES = [
    pytest.param(folder, number, case, id=f"{folder.name}-{number}")
    for parent in [HERE, *NAMED]
    for folder in sorted([parent, *parent.iterdir()])
    if (folder / RECORDED).is_file()
    for number, case in enumerate(json.loads((folder / RECORDED).read_text())["cases"])
]
LAYOUT_NAMES = {"serving": FISH_S1, "chat": FISH_1_5}
Tokens = npt.NDArray[np.int64]
FRAME = np.zeros((4, 1), dtype=np.int64)


def text_ids(base: FishBase, text: str) -> list[int]:
    example = base.encode(text, FRAME)
    ids: list[int] = example.tokens[0, : example.text_length].tolist()
    return ids


def test_every_layout_was_recorded() -> None:
    assert {case.values[2]["layout"] for case in CASES} == LAYOUT_NAMES.keys()  # type: ignore[index] # pytest types them as objects


@pytest.mark.parametrize(("folder", "number", "case"), CASES)
def test_a_prompt_is_the_recorded_one(folder: Path, number: int, case: dict[str, Any]) -> None:
    base = FishFamily().open(read_config(folder), LAYOUT_NAMES[case["layout"]])
    recorded = load_file(folder / "expected_generation.safetensors")
    prompt: Tokens = recorded[f"{number}.prompt"]
    assert prompt.shape[1] == case["prompt_length"]
    ids = text_ids(base, case["text"])
    if case["reference"] is None:
        assert prompt[0].tolist() == ids
        assert not prompt[1:].any()
        return
    codes = load_file(folder / "expected.safetensors")["1.codes"].astype(np.int64)
    turn = base.encode(case["reference"]["text"], codes).tokens
    if case["layout"] == "serving":  # <|interleave|> stands once, before all turns
        np.testing.assert_array_equal(prompt[:, : turn.shape[1]], turn)
        assert prompt[0, turn.shape[1] :].tolist() == ids[1:]
    else:  # a system message before all turns
        assert prompt[0, -len(ids) :].tolist() == ids
        rest = prompt[:, : -len(ids)]
        np.testing.assert_array_equal(rest[:, -turn.shape[1] :], turn)
        assert rest.shape[1] - turn.shape[1] > 0


@pytest.mark.parametrize(("folder", "number", "case"), CASES)
def test_an_utterance_is_trained_on_as_it_was_generated(
    folder: Path, number: int, case: dict[str, Any]
) -> None:
    base = FishFamily().open(read_config(folder), LAYOUT_NAMES[case["layout"]])
    recorded = load_file(folder / "expected_generation.safetensors")
    prompt, made = recorded[f"{number}.prompt"], recorded[f"{number}.tokens"]
    codes = recorded[f"{number}.codes"].astype(np.int64)
    example, frames = base.encode(case["text"], codes), codes.shape[1]
    start = example.text_length
    np.testing.assert_array_equal(example.tokens[:, start:-1], made[:, :frames])
    if case["reference"] is None:
        np.testing.assert_array_equal(example.tokens[:, :start], prompt)
    if case["ended"]:
        assert made[0, frames] == example.tokens[0, -1]


@pytest.mark.parametrize(
    ("content", "served"),
    [
        (S1_MINI, FISH_S1),
        (S2_PRO, FISH_S2),
        (json.loads((V15 / "config.json").read_text()), FISH_1_5),
    ],
)
def test_a_model_has_the_prompt_of_its_release(content: dict[str, Any], served: Prompt) -> None:
    assert parse_shape(content).prompt is served


def test_a_folder_is_opened_with_its_own_prompt_unless_a_run_began_with_another(
    tmp_path: Path,
) -> None:
    folders = {
        TINY: FISH_S1,
        V15: FISH_1_5,
        write_tiny_s2(tmp_path / "s2"): FISH_S2,
        write_tiny_csm(tmp_path / "csm"): CSM_PROMPT,
    }
    for folder, served in folders.items():
        base = open_base(folder)
        assert base.prompt is served
        around = base.encode("", FRAME).length - FRAME.shape[1]
        assert around <= served.most_tokens <= around + 1
        begun = prompt_begun_with(None, base.shape.prompts)
        assert open_base(folder, begun).prompt is begun
        assert (of_another_prompt(begun, served) is None) == (served is CSM_PROMPT)


def with_pairs(folder: Path) -> Path:
    """The tiny S1 with byte pairs that reach from the mark into the text, as the real one's."""
    shutil.copytree(TINY, folder)
    lines = (folder / TIKTOKEN).read_text()
    for number, pair in enumerate((b"|>", b"|>-", b'|>"')):
        lines += f"{base64.b64encode(pair).decode()} {345 + number}\n"
    (folder / TIKTOKEN).write_text(lines)
    return folder


@pytest.mark.parametrize("text", ["-Hei", '"Hei"', "- Hei, sanoi hän"])
def test_mark_and_text_are_tokenised_apart(tmp_path: Path, text: str) -> None:
    folder = with_pairs(tmp_path / "base")
    base, joined = (FishFamily().open(read_config(folder), p) for p in (FISH_S1, FISH_JOINED))
    spell, first = base.tokenizer.encode_text, base.tokenizer.id_of("<|interleave|>")
    assert text_ids(base, text) == [first, *spell(SPEAKER), *spell(text)]
    assert text_ids(joined, text) == [first, *spell(SPEAKER + text)]
    assert text_ids(base, text) != text_ids(joined, text)
    assert text_ids(base, "Hei") == text_ids(joined, "Hei")


def test_the_prompt_of_s2_is_a_chat_with_the_mark_in_the_text(tmp_path: Path) -> None:
    folder = write_tiny_s2(tmp_path / "s2")
    base = FishFamily().open(read_config(folder))
    spell, control = base.tokenizer.encode_text, base.tokenizer.id_of
    start, end, voice = map(control, ("<|im_start|>", "<|im_end|>", "<|voice|>"))
    words = [*spell("<|speaker:0|>-Hei"), end, *spell("\n")]
    wanted = [start, *spell("user\n"), *words, start, *spell("assistant\n"), voice]
    assert text_ids(base, "-Hei") == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  Hän sanoi: ‘ei’.  ", "Hän sanoi: 'ei'."),
        ("Hyvä 👍🇫🇮😀 päivä", "Hyvä  päivä"),
        ("no,,, niin...", "no, niin..."),
        ("-Hei, “moi”", "-Hei, “moi”"),
    ],
)
def test_a_text_is_cleaned_as_1_5_is_served(text: str, said: str) -> None:
    assert cleaned(text) == said
    chat, s1 = FishFamily().open(read_config(V15)), FishFamily().open(read_config(TINY))
    assert text_ids(chat, text) == text_ids(chat, said)
    assert (text_ids(s1, text) == text_ids(s1, said)) == (text == said)


def test_a_model_without_a_token_of_its_prompt_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(V15, tmp_path / "base"))
    path = folder / "special_tokens.json"
    special = json.loads(path.read_text())
    del special["<|voice|>"]
    path.write_text(json.dumps(special))
    with pytest.raises(BaseModelProblem, match=r"has no <\|voice\|>, which the prompt needs"):
        FishFamily().open(read_config(folder))
    assert FishFamily().open(read_config(folder), FISH_JOINED).prompt is FISH_JOINED


@pytest.mark.parametrize(
    ("recorded", "known"),
    [("fish-s9", PROMPTS), ("csm", PROMPTS), ("fish-s1", (CSM_PROMPT,)), ("", (CSM_PROMPT,))],
)
def test_a_prompt_that_the_model_has_not_is_refused(
    recorded: str, known: tuple[Prompt, ...]
) -> None:
    with pytest.raises(ConfigurationChanged, match="does not know the prompt") as refused:
        prompt_begun_with(recorded, known)
    assert refused.value.hint


def test_every_prompt_has_a_line_for_the_card() -> None:
    assert every(prompt.layout for prompt in prompts().values())
    assert {*LAYOUTS, CSM_PROMPT} == set(prompts().values())
