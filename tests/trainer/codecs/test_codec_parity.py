"""Our codecs against recorded outputs of the reference implementations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from checks import every
from fintts_inputs.codec.config import CODEC_CONFIG
from fintts_inputs.codec.find import S1_FILE, find_codec
from fintts_trainer.codecs import open_codec
from fintts_trainer.codecs.base import Codec, exact
from fintts_trainer.codecs.firefly.codec import FireflyCodec
from fintts_trainer.codecs.firefly.mel import log_mel
from fintts_trainer.codecs.s1.codec import S1Codec
from parity_fixtures import recorded_folders
from waves import read_wave

pytestmark = pytest.mark.parity

CPU = torch.device("cpu")
RIGHT = 1e-4
Recorded = dict[str, torch.Tensor]


class Case:
    """A codec with what was recorded of it."""

    def __init__(self, folder: Path) -> None:
        self.codec = open_codec(find_codec(folder), CPU)
        self.wave = read_wave(folder / "input.wav")
        self.recorded: Recorded = load_file(folder / "expected.safetensors")
        self.expected: dict[str, Any] = json.loads((folder / "expected.json").read_text())

    def codes(self, name: str) -> npt.NDArray[np.int64]:
        return self.recorded[name].numpy().astype(np.int64)


FOLDERS = recorded_folders(CODEC_CONFIG, S1_FILE, "expected.safetensors")


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def where_recorded(*names: str) -> pytest.MarkDecorator:
    """Runs a test for each codec of which these tensors were recorded."""

    def has_all(folder: Path) -> bool:
        with safe_open(folder / "expected.safetensors", framework="numpy") as recorded:
            return set(names) <= set(recorded.keys())

    folders = [folder for folder in FOLDERS if has_all(folder)]
    assert folders, f"of no codec were {', '.join(names)} recorded"
    return pytest.mark.parametrize(
        "case", folders, indirect=True, ids=[folder.name for folder in folders]
    )


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, atol=RIGHT, rtol=0)


def kept(codec: Codec, codes: npt.NDArray[np.int64], samples: int) -> npt.NDArray[np.int64]:
    """The frames that training reads: firefly's last one is left out where it is not full."""
    whole = samples // codec.shape.frame_samples
    return codes[:, :whole] if isinstance(codec, FireflyCodec) else codes


def test_both_codecs_were_recorded() -> None:
    kinds = {type(find_codec(folder).sizes).__name__ for folder in FOLDERS}
    assert kinds == {"S1Sizes", "FireflySizes"}


def test_the_codes_of_a_wave_are_the_recorded_ones(case: Case) -> None:
    (codes,) = case.codec.encode([case.wave])
    np.testing.assert_array_equal(codes, kept(case.codec, case.codes("codes"), len(case.wave)))
    assert codes.dtype == np.int64


def test_the_wave_of_codes_is_the_recorded_one(case: Case) -> None:
    wave = torch.from_numpy(case.codec.decode(case.codes("codes")))
    close(wave, case.recorded["decoded"][0])
    assert case.codec.shape.frame_samples == case.expected["frame_length"]
    assert case.codec.shape.sample_rate == case.expected["sample_rate"]


@where_recorded("cut.codes")
def test_a_part_of_the_wave_is_encoded_as_it_was_recorded(case: Case) -> None:
    samples = case.expected["cut_samples"]
    codes, whole = case.codec.encode([case.wave[:samples], case.wave])
    np.testing.assert_array_equal(codes, kept(case.codec, case.codes("cut.codes"), samples))
    np.testing.assert_array_equal(whole, kept(case.codec, case.codes("codes"), len(case.wave)))


@where_recorded("encoder", "pre", "post")
def test_each_part_of_s1_gives_what_was_recorded(case: Case) -> None:
    assert isinstance(case.codec, S1Codec)
    network, hop = case.codec.network, case.codec.shape.frame_samples
    quantizer, codes = network.quantizer, torch.from_numpy(case.codes("codes"))[None]
    padded = torch.zeros(1, 1, codes.shape[-1] * hop)
    padded[0, 0, : len(case.wave)] = torch.from_numpy(case.wave)
    with exact():
        encoded = network.encoder(padded)
        down = quantizer.downsample(encoded)
        values = quantizer.values(codes)
        post = quantizer.post_module(values)
        found = {
            "encoder": encoded,
            "downsample": down,
            "pre": quantizer.pre_module(down),
            "quantised": values,
            "post": post,
            "upsample": quantizer.upsample(post),
        }
    for name, part in found.items():
        close(part[0], case.recorded[name])


@where_recorded("long.codes")
def test_a_long_clip_meets_the_windows_of_the_transformers(case: Case) -> None:
    """A codec without a window would pass the short clip."""
    gains = case.expected["long_gains"]
    wave = np.concatenate([case.wave * np.float32(gain) for gain in gains])
    (codes,) = case.codec.encode([wave])
    np.testing.assert_array_equal(codes, case.codes("long.codes"))
    tail = case.recorded["long.decoded_tail"]
    close(torch.from_numpy(case.codec.decode(codes)[-len(tail) :]), tail)


@where_recorded("clamped.codes")
def test_codes_that_are_too_high_are_clamped_as_recorded(case: Case) -> None:
    wave = case.codec.decode(case.codes("clamped.codes"))
    close(torch.from_numpy(wave), case.recorded["clamped.decoded"][0])


@where_recorded("mel", "backbone")
def test_each_part_of_firefly_gives_what_was_recorded(case: Case) -> None:
    assert isinstance(case.codec, FireflyCodec)
    codec, codes = case.codec, torch.from_numpy(case.codes("codes"))[None]
    quantizer = codec.network.quantizer
    with exact():
        mel = log_mel(torch.from_numpy(case.wave), codec.sizes, codec.filters)
        backbone = codec.network.backbone(mel[None])
        values = quantizer.residual_fsq.values(codes)
        found = {
            "mel": mel[None],
            "backbone": backbone,
            "downsample": quantizer.downsample(backbone),
            "quantised": values,
            "upsample": quantizer.upsample(values),
        }
    for name, part in found.items():
        close(part[0], case.recorded[name])
    np.testing.assert_array_equal(codec.all_codes(case.wave), case.codes("codes"))


GENERATED = [
    pytest.param(folder, number, id=f"{folder.name}-{one['case']}")
    for folder in FOLDERS
    for number, one in enumerate(
        json.loads((folder / "expected.json").read_text()).get("generated", [])
    )
]


@pytest.mark.parametrize(("folder", "number"), GENERATED)
def test_generated_codes_become_the_recorded_wave(folder: Path, number: int) -> None:
    """Codes that the language model of the same name generated."""
    case = Case(folder)
    generated = case.expected["generated"][number]["case"]
    model = folder.parent / folder.name.removeprefix("codec_for_")
    codes = load_file(model / "expected_generation.safetensors")[f"{generated}.codes"].long()
    wave = case.codec.decode(codes.numpy())
    close(torch.from_numpy(wave), case.recorded[f"generated.{generated}"][0])


def test_there_are_generated_waves() -> None:
    assert every(GENERATED)
