"""The example from sound to sound: its recordings, its codec, and the base model for that."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from checks import every
from fintts_cost.training.loss_levels import uniform_guess
from fintts_inputs.base_model.families import read_config
from fintts_inputs.codec.find import find_codec, find_codec_for
from fintts_inputs.recordings.level import LOUDNESS_LUFS, loudness_of
from fintts_trainer.codecs import open_codec
from fintts_trainer.codecs.base import Codec
from fintts_trainer.codecs.s1.codec import S1Codec
from fintts_trainer.codecs.s1.network import S1Network
from fintts_trainer.data.batches import in_batches
from fintts_trainer.families.fish import FishFamily
from fintts_trainer.families.weight_files import read_state_dict
from fintts_trainer.loop.evaluate import evaluate
from fintts_trainer.synthesis.wav import wav_of
from kalevala import KALEVALA, script
from waves import Samples, voice

SOUND = KALEVALA / "sound"
MODEL, RECORDINGS = SOUND / "base_model", SOUND / "recordings"
SOUNDS = sorted(RECORDINGS.glob("*.flac"))
CPU = torch.device("cpu")

make_base_model, make_codec = script("make_base_model"), script("make_codec")
make_data, make_recordings = script("make_data"), script("make_recordings")
measure_codec, measure_distance = script("measure_codec"), script("measure_distance")
codec_codebooks, codec_layers = script("codec_codebooks"), script("codec_layers")


@pytest.fixture(scope="module")
def codec() -> Codec:
    return open_codec(find_codec(MODEL), CPU)


# --- recordings -----------------------------------------------------------------------------------


def test_the_recordings_are_the_first_verses() -> None:
    utterances = list(make_data.fine_tuning_utterances())[: make_recordings.RECORDED]
    said = {path.stem: path.read_text(encoding="utf-8") for path in RECORDINGS.glob("*.lab")}
    assert said == {utterance.name: utterance.text + "\n" for utterance in utterances}
    assert [path.stem for path in SOUNDS] == sorted(said)


def test_the_recordings_have_one_channel_at_16_khz_and_are_small() -> None:
    found = [soundfile.info(path) for path in SOUNDS]
    assert every(
        (one.samplerate, one.channels, one.subtype) == (16_000, 1, "PCM_16") for one in found
    )
    assert every(0.8 < one.duration < 8 for one in found)
    assert sum(path.stat().st_size for path in RECORDINGS.iterdir()) < 4_000_000


def test_neither_codec_nor_base_model_hears_the_voice_or_the_verses() -> None:
    voices = (*make_recordings.CODEC_VOICES, *make_data.PRETRAINING_VOICES)
    assert make_data.FINE_TUNING_VOICE.variant not in {one.variant for one in voices}
    heard = {one.text for one, _ in make_recordings.record_couplets(make_recordings.CODEC_VOICES)}
    recorded = {path.read_text(encoding="utf-8").strip() for path in RECORDINGS.glob("*.lab")}
    assert len(heard) > 150
    assert not heard & recorded


# --- the codec ------------------------------------------------------------------------------------


def test_the_codec_is_opened_like_any_other_of_its_kind(codec: Codec) -> None:
    assert isinstance(codec, S1Codec)
    sizes = make_codec.SIZES.codebook_sizes[: make_codec.KEPT_CODEBOOKS]
    assert codec.sizes == replace(make_codec.SIZES, codebook_sizes=sizes)
    assert (codec.shape.sample_rate, codec.shape.frames_per_second) == (16_000, 25)
    assert codec.shape.most_samples is None
    assert (MODEL / "codec.pth").stat().st_size <= 4_000_000


def test_speech_stays_intelligible_in_a_voice_and_verses_that_the_codec_never_heard(
    codec: Codec,
) -> None:
    found = [measure_codec.intelligibility(codec, path) for path in SOUNDS[::5]]
    assert np.mean(found) >= 0.75
    assert min(found) >= 0.70


def test_noise_is_not_intelligible(codec: Codec) -> None:
    """The measure sees the difference: the codes of one verse do not pass for another."""
    first, second = (soundfile.read(path, dtype="float32")[0] for path in SOUNDS[:2])
    (codes,) = codec.encode([first])
    length = min(len(first), len(second))
    wrong = codec.decode(codes)[:length]
    assert measure_codec.stoi(second[:length], wrong, 16_000) < 0.4


def test_the_layers_of_training_are_the_codecs_own() -> None:
    torch.random.manual_seed(0)
    network = S1Network(make_codec.SIZES).double()
    wave = torch.randn(2, 1, 3 * make_codec.SIZES.frame_samples, dtype=torch.float64) / 10
    latent = network.encoder(wave)
    torch.testing.assert_close(codec_layers.channels_last(network.encoder, wave), latent)
    torch.testing.assert_close(
        codec_layers.channels_last(network.decoder, latent), network.decoder(latent)
    )


def gradients(network: S1Network, wave: torch.Tensor, *, fast: bool) -> dict[str, torch.Tensor]:
    run = codec_layers.channels_last if fast else lambda layer, x: layer(x)
    network.zero_grad()
    run(network.decoder, run(network.encoder, wave)).square().sum().backward()
    return {name: one.grad for name, one in network.named_parameters() if one.grad is not None}


def test_their_gradients_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.random.manual_seed(0)
    network = S1Network(make_codec.SIZES).double()
    codec_layers.initialise(network)
    wave = torch.randn(1, 1, 2 * make_codec.SIZES.frame_samples, dtype=torch.float64) / 10
    exact = gradients(network, wave, fast=False)
    monkeypatch.setattr(codec_layers, "ALPHA_EVERY", 1)
    found = gradients(network, wave, fast=True)
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-5)


def test_speech_keeps_its_variance_through_fresh_weights() -> None:
    torch.random.manual_seed(0)
    network = S1Network(make_codec.SIZES)
    codec_layers.initialise(network)
    wave = torch.from_numpy(voice(1.0, 16_000))[None, None]
    with torch.no_grad():
        latent = network.encoder(wave)
        made = network.decoder(latent)
    assert 0.1 < latent.std(dim=-1).mean() < 10
    assert 0.005 < made.std() < 0.5


def test_codebooks_that_are_placed_where_the_vectors_are_are_used_and_follow() -> None:
    torch.random.manual_seed(0)
    quantizer = S1Network(make_codec.SIZES).quantizer
    directions = torch.randn(6, 128)
    latent = (torch.randn(8, 400, 6) @ directions).transpose(1, 2) + 5 * torch.randn(128)[:, None]
    books = codec_codebooks.Codebooks(quantizer, latent)
    values, _ = books(latent, 8)
    left = (latent - values).var() / latent.var(dim=(0, 2)).mean()
    assert left < 0.05
    codes = quantizer.encode(latent)
    assert len(set(codes[:, 0].flatten().tolist())) > 200
    moved = latent + 3 * torch.randn(128)[:, None]
    before = error_of(books, moved)
    for _ in range(60):
        books(moved, 8)
    assert error_of(books, moved) < before


def error_of(
    books: Callable[[torch.Tensor, int], tuple[torch.Tensor, ...]], x: torch.Tensor
) -> float:
    with torch.no_grad():
        return float((x - books(x, 8)[0]).square().mean())


def test_training_lowers_the_loss_and_its_codec_can_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make_codec, "UNQUANTISED_STEPS", 8)
    monkeypatch.setattr(make_codec, "WARMUP_STEPS", 1)
    monkeypatch.setattr(make_codec, "PLACING_CROPS", 8)
    monkeypatch.setattr(make_codec, "BATCH_SIZE", 2)
    speech = (voice(20.0, 16_000) * 32767).astype(np.int16)
    training = make_codec.Training(make_codec.Crops(speech))
    losses = [training.take_step(step, 0.1) for step in range(16)]
    assert np.mean(losses[5:8]) < losses[0]
    assert np.mean(losses[13:]) < losses[0]
    before = {name: one.clone() for name, one in training.network.state_dict().items()}
    training.take_step(16, 0.9)
    after = training.network.state_dict()
    changed = {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"decoder"}
    make_codec.save(training.network, tmp_path)
    opened = open_codec(find_codec(tmp_path), CPU)
    (codes,) = opened.encode([voice(1.0, 16_000)])
    assert codes.shape == (make_codec.KEPT_CODEBOOKS, 25)


def test_its_training_hears_what_encoding_hears(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.pad(voice(2.0, 48_000), 48_000), 48_000)
    speech = make_codec.read_speech(tmp_path) / 32768
    assert len(speech) == pytest.approx(2.2 * 16_000, abs=700)
    assert loudness_of(speech.astype(np.float32), 16_000) == pytest.approx(LOUDNESS_LUFS, abs=0.5)


# --- the base model -------------------------------------------------------------------------------


def test_the_base_model_is_one_of_its_codec() -> None:
    names = ["codec.pth", "codec_config.json", "config.json", "model.pth"]
    tokenizer = ["special_tokens.json", "tokenizer.tiktoken"]
    assert sorted(path.name for path in MODEL.iterdir()) == [*names, *tokenizer]
    assert sum(path.stat().st_size for path in MODEL.iterdir()) < 8_000_000
    shape = read_config(MODEL).shape
    sizes = find_codec_for(shape, MODEL).shape.codebook_sizes
    assert json.loads((MODEL / "config.json").read_text()) == make_base_model.config_for(sizes)


def test_its_weights_are_finite_and_in_bfloat16() -> None:
    state = read_state_dict(MODEL)
    assert {weight.dtype for weight in state.values()} == {torch.bfloat16}
    assert every(bool(weight.isfinite().all()) for weight in state.values())


def test_it_knows_speech_before_it_knows_this_voice(codec: Codec) -> None:
    base = FishFamily().open(read_config(MODEL))
    examples = []
    for path in SOUNDS[::8]:
        (codes,) = codec.encode([soundfile.read(path, dtype="float32")[0]])
        examples.append(base.encode(path.with_suffix(".lab").read_text().strip(), codes))
    model = base.load(torch.float32)
    loss = evaluate(model, in_batches(examples, 4), CPU).means()["loss"]
    assert loss < 0.8 * sum(map(uniform_guess, base.shape.choices.values()))


def test_training_a_base_model_lowers_its_loss(codec: Codec) -> None:
    base = FishFamily().open(read_config(MODEL))
    (codes,) = codec.encode([soundfile.read(SOUNDS[0], dtype="float32")[0]])
    example = base.encode(SOUNDS[0].with_suffix(".lab").read_text().strip(), codes)
    model = make_base_model.new_model(base)
    optimizer = torch.optim.AdamW(model.parameters())
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    losses = [make_base_model.take_step(model, optimizer, [example], 50) for _ in range(4)]
    assert losses[-1] < losses[0]
    assert every(not torch.equal(one, before[name]) for name, one in model.named_parameters())


# --- the distance ---------------------------------------------------------------------------------


def written(path: Path, samples: Samples) -> Path:
    path.write_bytes(wav_of(samples, 16_000))
    return path


def test_the_distance_is_between_sounds_and_forgives_time_and_loudness(tmp_path: Path) -> None:
    buzz = voice(1.0, 16_000, pitch=110)
    own = measure_distance.cepstra(written(tmp_path / "a.wav", buzz))
    quiet = measure_distance.cepstra(written(tmp_path / "b.wav", buzz * np.float32(0.5)))
    long = measure_distance.cepstra(
        written(tmp_path / "c.wav", np.repeat(buzz.reshape(-1, 160), 2, 0).ravel())
    )
    noise = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)
    other = measure_distance.cepstra(written(tmp_path / "d.wav", noise))
    far = measure_distance.distance(own, other)
    assert own.shape == (100, measure_distance.COEFFICIENTS)
    assert measure_distance.distance(own, own) == 0
    assert measure_distance.distance(own, quiet) < 0.05 * far
    assert measure_distance.distance(own, long) < 0.5 * far
    assert measure_distance.distance(other, own) == pytest.approx(far)


def test_only_the_best_and_the_base_are_compared_and_only_where_there_is_a_recording(
    tmp_path: Path,
) -> None:
    buzz, noise = voice(0.5, 16_000), np.random.default_rng(1).normal(0, 0.1, 8_000)
    near = written(tmp_path / "near.wav", buzz)
    far = written(tmp_path / "far.wav", noise.astype(np.float32))

    def sample(voice: str, text: str, path: Path, *, best: bool = False) -> dict[str, object]:
        return {"voice": voice, "text": text, "path": str(path), "best": best}

    samples = [
        sample("original", "a", near),
        sample("base", "a", far),
        sample("base", "b", near),
        sample("step 20", "a", far),
        sample("step 40", "a", near, best=True),
    ]
    document = tmp_path / "samples.json"
    document.write_text(json.dumps({"samples": samples}))
    found = measure_distance.distances(json.loads(document.read_text()))
    assert sorted(found) == ["base", "best"]
    assert found["best"] == 0
    assert found["base"] > 1
    assert measure_distance.main(document) == 0
    document.write_text(json.dumps({"samples": samples[:4]}))
    with pytest.raises(SystemExit, match="no text by both the best voice and a recording"):
        measure_distance.main(document)
    samples[1], samples[4] = sample("base", "a", near), sample("step 40", "a", far, best=True)
    document.write_text(json.dumps({"samples": samples}))
    assert measure_distance.main(document) == 1
