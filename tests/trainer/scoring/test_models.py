"""The models that measure samples, against recorded outputs of the packages they come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
import torch
from safetensors.numpy import load_file

import tiny_eval
from fintts_inputs.errors import EvalModelProblem
from fintts_trainer.samples.limits import OutOfTime
from fintts_trainer.scoring.asr import open_recogniser
from fintts_trainer.scoring.dnsmos import open_dnsmos
from fintts_trainer.scoring.speaker import (
    open_speaker_encoder,
    partials,
    raised,
    voice_of,
)

if TYPE_CHECKING:
    from fintts_trainer.codecs.base import Wave

HERE = Path(__file__).parents[1] / "fixtures" / "metrics"
CPU = torch.device("cpu")
EXPECTED = json.loads((HERE / "expected.json").read_text())
EMBEDDINGS = load_file(HERE / "expected.safetensors")


def speech() -> Wave:
    samples, rate = soundfile.read(HERE / "speech_16k.wav", dtype="float32")
    assert rate == 16_000
    return np.asarray(samples, np.float32)


@pytest.mark.parametrize(
    ("name", "seconds"), [("embedding", None), ("embedding_of_first_second_and_a_half", 1.5)]
)
def test_the_voice_is_resemblyzers(name: str, seconds: float | None) -> None:
    encoder = open_speaker_encoder(tiny_eval.ENCODER, CPU)
    wave = speech() if seconds is None else speech()[: round(seconds * 16_000)]
    with torch.inference_mode():
        found = encoder.embedding(wave).numpy()
    assert np.abs(found - EMBEDDINGS[name]).max() < 1e-5


@pytest.mark.parametrize(
    ("samples", "starts"),
    [
        (1600, [0]),
        (25_600, [0]),
        # One more is heard if three quarters of it are sound: from frame 77 on, 19,200 samples.
        (77 * 160 + 19_199, [0]),
        (77 * 160 + 19_200, [0, 77]),
        (16_000 * 5, [0, 77, 154, 231, 308]),
    ],
)
def test_where_parts_of_an_utterance_begin(samples: int, starts: list[int]) -> None:
    assert partials(samples) == (starts, (starts[-1] + 160) * 160)


def test_a_voice_needs_sound_and_no_loudness() -> None:
    encoder = open_speaker_encoder(tiny_eval.ENCODER, CPU)
    assert voice_of(encoder, []) is None
    assert voice_of(encoder, [np.zeros(16_000, np.float32)]) is None
    assert voice_of(encoder, [speech()[9000:9100]]) is None
    soft = (speech() / 300).astype(np.float32)
    loud, quiet = voice_of(encoder, [speech()]), voice_of(encoder, [soft])
    assert loud is not None
    assert quiet is not None
    assert float(loud @ loud) == pytest.approx(1)
    assert float(loud @ quiet) > 0.95
    level = 10 * np.log10(np.square(raised(soft)).mean())
    assert level == pytest.approx(-30, abs=0.01)
    assert np.array_equal(raised(speech()), speech())


def test_dnsmos_is_that_of_speechmos() -> None:
    model = open_dnsmos(tiny_eval.DNSMOS)
    assert model.overall(speech()) == pytest.approx(EXPECTED["dnsmos"]["ovrl_mos"], abs=1e-2)
    noise = np.random.default_rng(1).normal(0, 0.1, 16_000 * 12).astype(np.float32)
    worse = model.overall(noise)
    assert worse is not None
    assert worse < 1.5
    assert model.overall(np.zeros(0, np.float32)) is None
    assert model.overall(np.zeros(160_000, np.float32)) is None


def damaged(path: Path) -> Path:
    path.write_bytes(b"PK\x03\x04 nothing")
    return path


def with_code(path: Path) -> Path:
    torch.save({"model_state": print}, path)
    return path


def of_another(path: Path) -> Path:
    torch.save({"model_state": {"lstm.weight_ih_l0": torch.zeros(3)}}, path)
    return path


@pytest.mark.parametrize("write", [damaged, with_code, of_another])
def test_another_file_is_no_encoder(write: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(EvalModelProblem, match="is not Resemblyzer's encoder"):
        open_speaker_encoder(write(tmp_path / "pretrained.pt"), CPU)


def test_another_file_is_no_dnsmos(tmp_path: Path) -> None:
    other = tiny_eval.DNSMOS.with_name("model_v8.onnx")
    with pytest.raises(EvalModelProblem, match="is not the model of DNSMOS"):
        open_dnsmos(damaged(tmp_path / "sig_bak_ovr.onnx"))
    model = open_dnsmos(tiny_eval.DNSMOS)
    assert model.overall(speech()) is not None
    with pytest.raises(Exception, match=r"dims|rank|Invalid"):
        open_dnsmos(other).overall(speech())  # its input has the same name


@pytest.mark.parametrize("write", [tiny_eval.write_ctc, tiny_eval.write_whisper])
def test_a_recogniser_hears_the_same_in_the_same_sound(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    recogniser = open_recogniser(write(tmp_path / "asr"), "fi", CPU)
    looks: list[int] = []
    heard = recogniser.heard(speech(), lambda: looks.append(1))
    torch.manual_seed(3)
    state = torch.get_rng_state()
    assert recogniser.heard(speech(), lambda: None) == heard
    assert torch.equal(state, torch.get_rng_state()), "training draws from this generator"
    assert recogniser.heard(speech()[::-1].copy(), lambda: None) != heard
    assert len(heard) > 10
    assert recogniser.heard(np.zeros(799, np.float32), lambda: None) == ""
    assert len(looks) >= (20 if recogniser.writes else 1), "before each token"


def test_a_recogniser_is_left_when_time_is_over(tmp_path: Path) -> None:
    recogniser = open_recogniser(tiny_eval.write_whisper(tmp_path / "asr"), "fi", CPU)
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 5:
            raise OutOfTime

    with pytest.raises(OutOfTime):
        recogniser.heard(speech(), look)


def test_a_recogniser_without_its_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = tiny_eval.write_ctc(tmp_path / "asr")
    (folder / "vocab.json").unlink()
    with pytest.raises(EvalModelProblem, match="cannot be loaded"):
        open_recogniser(folder, "fi", CPU)
    (folder / "config.json").write_text('{"model_type": "unheard_of"}')
    with pytest.raises(EvalModelProblem, match="cannot be loaded"):
        open_recogniser(folder, "fi", CPU)
