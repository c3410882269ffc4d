"""What every codec promises, whatever its kind."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CsmForConditionalGeneration

from fintts_inputs.codec.find import S1_FILE, find_codec
from fintts_inputs.errors import BaseModelProblem, CodecProblem
from fintts_trainer.codecs import open_codec
from fintts_trainer.codecs.base import Codec, exact
from fintts_trainer.codecs.s1.codec import S1Codec
from fintts_trainer.codecs.s1.transformer import rotations
from parity_fixtures import HERE
from tiny_csm import write_tiny_csm
from waves import Samples, voice

CPU = torch.device("cpu")
S1, FIREFLY = HERE / "codec_s1_tiny", HERE / "codec_v15_tiny"


def opened(folder: Path) -> Codec:
    return open_codec(find_codec(folder), CPU)


@pytest.fixture(scope="module")
def csm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_csm(tmp_path_factory.mktemp("base") / "csm")


@pytest.fixture(scope="module", params=["s1", "firefly", "mimi"])
def codec(request: pytest.FixtureRequest, csm: Path) -> Codec:
    return opened({"s1": S1, "firefly": FIREFLY, "mimi": csm}[request.param])


def waves_for(codec: Codec) -> list[Samples]:
    """Of lengths that are no whole number of frames, but for one."""
    rate, hop = codec.shape.sample_rate, codec.shape.frame_samples
    whole = voice(1, rate)[: 5 * hop]
    return [voice(0.61, rate, 90), voice(1.037, rate, 150), whole, voice(0.2, rate, 200)]


def test_a_codec_computes_with_cudnn_and_without_tf32() -> None:
    with exact():
        assert torch.backends.cudnn.enabled
        assert not torch.backends.cudnn.allow_tf32


def test_codes_do_not_depend_on_the_batch(codec: Codec) -> None:
    waves = waves_for(codec)
    together = codec.encode(waves)
    for wave, codes in zip(waves, together, strict=True):
        np.testing.assert_array_equal(codes, codec.encode([wave])[0])


def test_an_utterance_has_a_frame_for_each_stretch_of_samples(codec: Codec) -> None:
    waves, hop = waves_for(codec), codec.shape.frame_samples
    for wave, codes in zip(waves, codec.encode(waves), strict=True):
        assert codes.shape[0] == codec.shape.codebooks
        assert codes.shape[1] in (len(wave) // hop, -(-len(wave) // hop))
        assert codes.dtype == np.int64
    assert codec.encode([]) == []


def test_codes_stay_within_their_codebooks(codec: Codec) -> None:
    for codes in codec.encode(waves_for(codec)):
        assert codes.min() >= 0
        assert (codes.max(axis=1) < np.array(codec.shape.codebook_sizes)).all()


def test_a_decoded_wave_has_whole_frames(codec: Codec) -> None:
    (codes,) = codec.encode([voice(0.7, codec.shape.sample_rate)])
    wave = codec.decode(codes)
    assert wave.shape == (codes.shape[1] * codec.shape.frame_samples,)
    assert wave.dtype == np.float32
    assert np.abs(wave).max() > 0


def test_one_frame_can_be_decoded(codec: Codec) -> None:
    wave = codec.decode(np.zeros((codec.shape.codebooks, 1), np.int64))
    assert wave.shape == (codec.shape.frame_samples,)


def test_what_cannot_be_codes_is_refused(codec: Codec) -> None:
    codebooks = codec.shape.codebooks
    for shape in ((codebooks + 1, 3), (codebooks, 0), (codebooks,)):
        with pytest.raises(CodecProblem, match=f"are not \\[{codebooks}, frames\\]"):
            codec.decode(np.zeros(shape, np.int64))
    with pytest.raises(CodecProblem, match="a code is negative: -1"):
        codec.decode(np.full((codebooks, 2), -1))


def test_an_empty_wave_is_refused(codec: Codec) -> None:
    with pytest.raises(CodecProblem, match="too short"):
        codec.encode([np.zeros(0, np.float32)])


def test_an_utterance_beyond_the_positions_of_s1_is_refused() -> None:
    codec = opened(S1)
    most = codec.shape.most_samples
    assert most == 176 * 2048
    with pytest.raises(CodecProblem, match=r"8\.2 s is too long: .* at most 8\.2 s") as caught:
        codec.encode([np.zeros(most + 1, np.float32)])
    assert caught.value.hint == "cut the recording at a pause"
    with pytest.raises(CodecProblem, match="too long"):
        codec.decode(np.zeros((10, 177), np.int64))


@pytest.mark.parametrize("folder", ["firefly", "mimi"])
def test_codes_that_the_codec_has_not_are_refused(folder: str, csm: Path) -> None:
    """The language model of Fish Speech 1.5 has 1,024 places for 1,000 codes."""
    codec = opened(FIREFLY if folder == "firefly" else csm)
    first = codec.shape.codebook_sizes[0]
    with pytest.raises(
        CodecProblem, match=f"a code is {first}, but the codec's last one is {first - 1}"
    ):
        codec.decode(np.full((codec.shape.codebooks, 2), first))


def test_mimi_gives_the_codes_and_the_wave_of_csm(csm: Path) -> None:
    codec, wave = opened(csm), voice(0.7, 24_000)
    whole = CsmForConditionalGeneration.from_pretrained(csm)  # type: ignore[no-untyped-call]  # transformers' own
    whole.train(mode=False)
    (codes,) = codec.encode([wave])
    with torch.no_grad():
        theirs = whole.codec_model.encode(torch.from_numpy(wave)[None, None])
        back = whole.codec_model.decode(theirs.audio_codes)
    np.testing.assert_array_equal(codes, theirs.audio_codes[0].numpy())
    np.testing.assert_allclose(codec.decode(codes), back.audio_values[0, 0].numpy(), atol=1e-6)


def changed(folder: Path, to: Path, **weights: torch.Tensor) -> Path:
    """A copy of an S1 codec with other weights."""
    shutil.copytree(folder, to)
    state = torch.load(folder / S1_FILE, weights_only=True) | weights
    torch.save({name: one for name, one in state.items() if one.numel()}, to / S1_FILE)
    return to


def test_a_codec_without_its_tables_gives_the_same_codes(tmp_path: Path) -> None:
    tables = dict.fromkeys(
        f"{stack}.{table}"
        for stack in ("encoder.block.4.block.5", "quantizer.pre_module", "quantizer.post_module")
        for table in ("freqs_cis", "causal_mask")
    )
    bare = opened(changed(S1, tmp_path / "bare", **dict.fromkeys(tables, torch.empty(0))))
    wave = voice(1, 44_100)
    np.testing.assert_array_equal(bare.encode([wave])[0], opened(S1).encode([wave])[0])


def test_the_computed_table_is_the_one_in_the_file() -> None:
    codec = opened(S1)
    assert isinstance(codec, S1Codec)
    table = torch.load(S1 / S1_FILE, weights_only=True)["quantizer.pre_module.freqs_cis"]
    assert codec.sizes.pre is not None
    torch.testing.assert_close(rotations(codec.sizes.pre), table.float(), atol=0, rtol=0)


def test_a_folded_weight_and_the_prefix_of_a_training_run_are_read(tmp_path: Path) -> None:
    state = torch.load(S1 / S1_FILE, weights_only=True)
    stem = "encoder.block.0.conv."
    g = state.pop(f"{stem}parametrizations.weight.original0").float()
    v = state.pop(f"{stem}parametrizations.weight.original1").float()
    state[f"{stem}weight"] = g * v / v.flatten(1).norm(dim=1)[:, None, None]
    shutil.copytree(S1, tmp_path / "own")
    own = {f"generator.{name}": one for name, one in state.items()}
    torch.save({**own, "discriminator.bias": torch.zeros(1)}, tmp_path / "own" / S1_FILE)
    wave = voice(1, 44_100)
    ours = opened(tmp_path / "own").encode([wave])[0]
    np.testing.assert_array_equal(ours, opened(S1).encode([wave])[0])


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    name = "decoder.model.6.conv.bias"
    cases = {
        "missing": ({name: torch.empty(0)}, f"1 missing \\({name}\\)"),
        "unexpected": ({"decoder.extra": torch.ones(1)}, r"1 unexpected \(decoder\.extra\)"),
        "misshapen": ({name: torch.ones(3)}, r"has shape \(3,\), not \(1,\)"),
        "damaged": ({name: torch.full((1,), torch.nan)}, "not finite"),
    }
    for case, (weights, said) in cases.items():
        with pytest.raises(CodecProblem, match=said):
            opened(changed(S1, tmp_path / case, **weights))


def test_the_digest_is_that_of_weights_and_settings(tmp_path: Path, csm: Path) -> None:
    digests = [opened(folder).digest for folder in (S1, FIREFLY, csm, S1)]
    assert digests[0] == digests[3]
    assert len(set(digests)) == 3
    other = changed(S1, tmp_path / "other", **{"decoder.model.6.conv.bias": torch.ones(1)})
    assert opened(other).digest not in digests
    config = (S1 / "codec_config.json").read_text()
    shutil.copytree(S1, tmp_path / "window")
    wider = config.replace('"window_size": 16', '"window_size": 24')
    (tmp_path / "window/codec_config.json").write_text(wider)
    assert wider != config
    assert opened(tmp_path / "window").digest not in digests


def test_a_codec_that_would_run_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / S1_FILE).write_bytes(b"\x80\x04c__builtin__\neval\n.")
    with pytest.raises(BaseModelProblem, match=r"not a complete torch\.save file"):
        find_codec(tmp_path)
    torch.save({"weights": torch.nn.Linear(1, 1)}, tmp_path / S1_FILE)
    with pytest.raises(BaseModelProblem, match="which is not executed"):
        find_codec(tmp_path)
