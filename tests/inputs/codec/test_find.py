"""The codec beside a base model: found, and compared with the model, without torch."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fintts_inputs.base_model.families import read_shape
from fintts_inputs.codec.find import FIREFLY_FILE, S1_FILE, find_codec
from fintts_inputs.codec.shape import CodecShape, refuse_other_codec
from fintts_inputs.errors import BaseModelProblem, CodecProblem
from parity_fixtures import HERE

FISH, ITS_CODEC = HERE / "fish_s1_tiny", HERE / "codec_for_fish_s1_tiny"
S1, FIREFLY = HERE / "codec_s1_tiny", HERE / "codec_v15_tiny"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base model with its codec beside it, as a user has it."""
    folder = tmp_path / "base"
    shutil.copytree(FISH, folder)
    shutil.copytree(ITS_CODEC, folder, dirs_exist_ok=True)
    return folder


def test_a_codec_beside_the_base_model_is_found(base: Path) -> None:
    found = find_codec(base)
    assert found.path == base / S1_FILE
    shape = found.shape
    assert (shape.codebook_sizes, shape.sample_rate, shape.frame_samples) == (
        (64,) * 4,
        44_100,
        2048,
    )
    assert shape.frames_per_second == pytest.approx(21.533, abs=1e-3)
    refuse_other_codec(shape, read_shape(base))


def test_the_codec_of_1_5_is_found_under_its_own_name(tmp_path: Path) -> None:
    shutil.copy(FIREFLY / S1_FILE, tmp_path / FIREFLY_FILE)
    shape = find_codec(tmp_path).shape
    assert (shape.codebook_sizes, shape.frame_samples) == ((1000,) * 8, 2048)
    assert find_codec(tmp_path / FIREFLY_FILE).shape == shape


def test_a_missing_codec_says_how_to_get_it(base: Path) -> None:
    (base / S1_FILE).unlink()
    with pytest.raises(CodecProblem, match=r"has no codec\.pth") as caught:
        find_codec(base)
    assert "hf download fishaudio/openaudio-s1-mini codec.pth" in caught.value.hint
    with pytest.raises(CodecProblem, match="there is no codec at"):
        find_codec(base / "nowhere")


def test_the_weights_of_another_model_are_no_codec(base: Path) -> None:
    shutil.copy(base / "model.pth", base / S1_FILE)
    with pytest.raises(CodecProblem, match="is neither OpenAudio S1's codec nor"):
        find_codec(base)


def test_a_link_out_of_the_folder_is_not_followed(base: Path) -> None:
    (base / S1_FILE).unlink()
    (base / S1_FILE).symlink_to(ITS_CODEC / S1_FILE)
    with pytest.raises(BaseModelProblem, match="is a link out of the folder"):
        find_codec(base)


def test_a_codec_that_was_cut_off_is_named(base: Path) -> None:
    os.truncate(base / S1_FILE, 300_000)
    with pytest.raises(
        BaseModelProblem, match=r"codec\.pth is not a complete torch\.save file of weights"
    ):
        find_codec(base)


@pytest.mark.parametrize(
    ("key", "value"), [("sample_rate", 0), ("sample_rate", "fast"), ("quantizer", 3)]
)
def test_an_impossible_number_in_the_configuration_is_named(
    base: Path, key: str, value: object
) -> None:
    path = base / "codec_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(BaseModelProblem, match=f"codec_config.json: {key}"):
        find_codec(base)


def test_windows_shorter_than_the_transform_are_refused(tmp_path: Path) -> None:
    shutil.copy(FIREFLY / S1_FILE, tmp_path)
    config = {"spec_transform": {"n_fft": 2048, "win_length": 1024}}
    (tmp_path / "codec_config.json").write_text(json.dumps(config))
    with pytest.raises(CodecProblem, match="have 1,024 samples") as caught:
        find_codec(tmp_path)
    assert "spec_transform.win_length" in caught.value.hint


def test_another_codec_than_the_models_is_refused() -> None:
    model = read_shape(FISH)
    with pytest.raises(CodecProblem, match=r"has 10 codebooks, the base model 4"):
        refuse_other_codec(find_codec(S1).shape, model)
    ten = replace(model, num_codebooks=10, codebook_size=4096)
    with pytest.raises(CodecProblem, match=r"has 64 codes, the base model 4,096"):
        refuse_other_codec(find_codec(S1).shape, ten)


def test_a_model_may_round_the_codes_up_to_a_power_of_two() -> None:
    eight = replace(read_shape(FISH), num_codebooks=8, codebook_size=1024)
    refuse_other_codec(find_codec(FIREFLY).shape, eight)
    for size in (999, 1023, 2048):
        with pytest.raises(CodecProblem, match=r"has 1,000 codes"):
            refuse_other_codec(find_codec(FIREFLY).shape, replace(eight, codebook_size=size))
    exact = CodecShape("a", 24_000, 1920, (2048,) * 32, None)
    refuse_other_codec(exact, replace(eight, num_codebooks=32, codebook_size=2048))
