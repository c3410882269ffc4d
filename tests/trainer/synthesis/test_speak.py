"""A text becomes WAV files: by the base model, by adapters, and from recorded codes."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from fintts_inputs.base_model.families import read_config
from fintts_inputs.codec.find import find_codec
from fintts_inputs.errors import CodecProblem, SpeechProblem
from fintts_inputs.recordings.survey import limits_of, measured
from fintts_inputs.recordings.utterance import prepared
from fintts_inputs.speech.plan import Frames, ReferenceRecording, SpeechPlan, Spoken, Voice
from fintts_inputs.speech.sampling import SamplingOptions
from fintts_store.errors import StoreError
from fintts_trainer.codecs import open_codec
from fintts_trainer.families.fish import FishFamily
from fintts_trainer.synthesis.speak import speak_plan
from parity_fixtures import HERE
from recordings import speech, write_recording
from small_disk import small_disk
from tiny_csm import write_tiny_csm
from tiny_export import write_random_adapter
from tiny_run import TINY

CODEC, OTHER = HERE / "codec_for_fish_s1_tiny", HERE / "codec_s1_tiny"
RATE, FRAME = 44_100, 2048
GREEDY = SamplingOptions(temperature=0, repetition_penalty=1)
ENDLESS = "Missä kirja on?"
"""of which the tiny model, greedily, finds no end"""


def plan(folder: Path, *voices: Voice, **changes: object) -> SpeechPlan:
    text = str(changes.pop("text", "Talo palaa!"))
    given = voices or (Voice(name="base", text="", to=folder / "base.wav"),)
    values: dict[str, object] = {
        "base": TINY,
        "codec": CODEC,
        "voices": [one.model_copy(update={"text": one.text or text}) for one in given],
        "max_seconds": 0.5,
        "seed": 1,
        **changes,
    }
    return SpeechPlan.model_validate(values)


def spoken(asked: SpeechPlan) -> list[Spoken]:
    told: list[Frames | Spoken] = []
    speak_plan(asked, told.append)
    return [one for one in told if isinstance(one, Spoken)]


def samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_greedy_speech_is_the_wave_of_the_codes_of_the_reference(tmp_path: Path) -> None:
    (one,) = spoken(plan(tmp_path, sampling=GREEDY, max_seconds=80 * FRAME / RATE))
    assert (one.frames, one.ended) == (57, True)
    codes = load_file(TINY / "expected_generation.safetensors")["0.codes"].numpy()
    codec = open_codec(find_codec(CODEC), torch.device("cpu"))
    wanted = codec.decode(codes.astype(np.int64))
    assert one.seconds == pytest.approx(len(wanted) / RATE)
    np.testing.assert_allclose(samples(tmp_path / "base.wav") / 32767, wanted, atol=2e-4)


def test_each_voice_speaks_as_it_does_alone(tmp_path: Path) -> None:
    base = FishFamily().open(read_config(TINY))
    adapter = write_random_adapter(base, tmp_path / "adapter", seed=3)
    names = {"base": None, "mine": adapter, "again": None}
    voices = [Voice(name=n, text="", adapter=a, to=tmp_path / f"{n}.wav") for n, a in names.items()]
    told = spoken(plan(tmp_path, *voices))
    assert [one.voice for one in told] == list(names)
    base_wave, mine, again = (samples(voice.to) for voice in voices)
    np.testing.assert_array_equal(base_wave, again)
    assert not np.array_equal(base_wave, mine)
    alone = voices[1].model_copy(update={"to": tmp_path / "alone.wav"})
    spoken(plan(tmp_path, alone))
    np.testing.assert_array_equal(samples(alone.to), mine)


def test_speech_without_an_end_is_cut_at_the_limit(tmp_path: Path) -> None:
    (one,) = spoken(plan(tmp_path, text=ENDLESS, sampling=GREEDY))
    assert (one.ended, one.frames) == (False, round(0.5 * RATE / FRAME))


def test_a_recording_among_the_voices_is_decoded(tmp_path: Path) -> None:
    codes = load_file(CODEC / "expected.safetensors")
    np.save(tmp_path / "codes.npy", codes["codes"].numpy())
    voice = Voice(name="original", text="", recording=tmp_path / "codes.npy", to=tmp_path / "o.wav")
    spoken(plan(tmp_path, voice))
    wanted = codes["decoded"][0].numpy()
    np.testing.assert_allclose(samples(voice.to) / 32767, wanted, atol=2e-4)


def test_sound_among_the_voices_is_heard_as_the_codec_renders_it(tmp_path: Path) -> None:
    path = write_recording(tmp_path, "me.wav", speech(1, 0.8), text=None)
    voice = Voice(name="original", text="", recording=path, to=tmp_path / "o.wav")
    [told] = spoken(plan(tmp_path, voice))
    codec = open_codec(find_codec(CODEC), torch.device("cpu"))
    found = measured("me", "me.wav", path, None, limits_of(codec.shape, None))
    wave_form = prepared(path, found.digest, found.begin, found.end, found.gain, RATE)
    wanted = codec.decode(codec.encode([wave_form])[0])
    np.testing.assert_allclose(samples(voice.to) / 32767, wanted, atol=2e-4)
    assert (told.ended, told.disallowed) == (True, 0)
    path.write_bytes(b"RIFF")
    with pytest.raises(SpeechProblem, match=r"the recording .*me\.wav"):
        spoken(plan(tmp_path, voice.model_copy(update={"to": tmp_path / "p.wav"})))


def test_a_reference_is_heard(tmp_path: Path) -> None:
    path = write_recording(tmp_path, "me.wav", speech(1, 0.8), text=None)
    given = ReferenceRecording(path=path, text="Hyvää päivää!")
    spoken(plan(tmp_path))
    other = Voice(name="other", text="", to=tmp_path / "other.wav")
    spoken(plan(tmp_path, other, reference=given))
    assert not np.array_equal(samples(tmp_path / "base.wav"), samples(other.to))


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"text": "a" * 600}, SpeechProblem, "the text is too long"),
        ({"codec": OTHER}, CodecProblem, "10 codebooks, the base model 4"),
        ({"codec": TINY}, CodecProblem, r"no codec\.pth"),
        (
            {"reference": {"path": TINY / "config.json", "text": "a"}},
            SpeechProblem,
            "config.json cannot be read as sound",
        ),
    ],
)
def test_what_cannot_be_spoken_is_said(
    tmp_path: Path, changes: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        spoken(plan(tmp_path, **changes))
    assert not (tmp_path / "base.wav").exists()


def test_a_file_that_exists_is_kept(tmp_path: Path) -> None:
    (tmp_path / "base.wav").write_text("mine")
    with pytest.raises(SpeechProblem, match="exists already"):
        spoken(plan(tmp_path))
    assert (tmp_path / "base.wav").read_text() == "mine"


def test_csm_speaks_through_the_codec_within_it(tmp_path: Path) -> None:
    csm = write_tiny_csm(tmp_path / "csm")
    path = write_recording(tmp_path, "me.wav", speech(1, 0.8, 24_000), 24_000, text=None)
    given = ReferenceRecording(path=path, text="Hyvää päivää!")
    for name, reference in (("alone", None), ("with", given)):
        voice = Voice(name=name, text="", to=tmp_path / f"{name}.wav")
        (one,) = spoken(plan(tmp_path, voice, base=csm, codec=csm, reference=reference))
        assert 0 < one.frames <= round(0.5 * 12.5)
        with wave.open(str(voice.to)) as file:
            assert (file.getframerate(), file.getnframes()) == (24_000, one.frames * 1920)
    assert (tmp_path / "alone.wav").read_bytes() != (tmp_path / "with.wav").read_bytes()


def test_a_full_disk_leaves_what_is_spoken(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        voices = [
            Voice(name=name, text="", to=disk / f"{name}.wav") for name in ("first", "second")
        ]
        with pytest.raises(StoreError, match="no space is left for"):
            spoken(plan(tmp_path, *voices, text=ENDLESS, sampling=GREEDY))
        assert [path.name for path in disk.iterdir()] == ["first.wav"]
        assert len(samples(voices[0].to)) > 0


@pytest.mark.parametrize("option", [{"temperature": -1}, {"top_p": 0}, {"repetition_penalty": 0.5}])
def test_impossible_sampling_is_refused(option: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        SamplingOptions.model_validate(option)
