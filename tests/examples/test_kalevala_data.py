"""The example's recordings are whole, in range, and unheard by the base model."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from checks import every
from kalevala import KALEVALA, script

DATA = KALEVALA / "data"
SIZES = (512, 512, 16, 64)
CODES = sorted(DATA.glob("*.npy"))
LABELS = sorted(DATA.glob("*.lab"))


make_data = script("make_data")


def _verses(text: str) -> set[str]:
    """Single verses, without what punctuation and capitals change."""
    kept = "".join(c for c in text.lower().replace(" / ", "\n") if c.isalpha() or c in "'\n ")
    return {verse.strip() for verse in kept.splitlines()}


def _all_verses(name: str) -> set[str]:
    poems: dict[int, list[str]] = make_data.read_poems(KALEVALA / name)
    return {verse for lines in poems.values() for line in lines for verse in _verses(line)}


def test_every_recording_has_its_transcript() -> None:
    assert len(CODES) >= 128
    assert [path.stem for path in CODES] == [path.stem for path in LABELS]
    strangers = {path.suffix for path in DATA.iterdir()} - {".npy", ".lab"}
    assert not strangers


@pytest.mark.parametrize("path", CODES, ids=lambda path: path.stem)
def test_codes_are_whole_numbers_within_their_codebooks(path: Path) -> None:
    codes = np.load(path, allow_pickle=False)
    assert codes.dtype == np.int16
    assert codes.shape == (4, codes.shape[1])
    assert codes.shape[1] >= 20  # 0.8 s: no verse is shorter
    assert codes.min() >= 0
    assert every(row.max() < size for row, size in zip(codes, SIZES, strict=True))


def test_transcripts_are_the_verses_in_their_order() -> None:
    utterances = list(make_data.fine_tuning_utterances())
    said = {path.stem: path.read_text(encoding="utf-8") for path in LABELS}
    assert said == {utterance.name: utterance.text + "\n" for utterance in utterances}


def test_transcripts_are_unique_composed_and_not_empty() -> None:
    texts = [path.read_text(encoding="utf-8").strip() for path in LABELS]
    assert every(texts)
    assert len(set(texts)) == len(texts)
    assert every(unicodedata.is_normalized("NFC", text) for text in texts)


def test_the_base_model_hears_none_of_the_verses() -> None:
    fine_tuning, pretraining = _all_verses("verses.txt"), _all_verses("pretraining_verses.txt")
    assert len(fine_tuning) > 200
    assert len(pretraining) > 300
    assert not fine_tuning & pretraining


def test_the_base_model_hears_enough_in_other_voices() -> None:
    voices = make_data.PRETRAINING_VOICES
    names = [u.name for voice in voices for u in make_data.pretraining_utterances(voice)]
    assert len(set(names)) == len(names) >= 400
    assert make_data.FINE_TUNING_VOICE.variant not in {voice.variant for voice in voices}


def test_the_data_stay_small() -> None:
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 2_000_000


def test_a_frame_is_unpacked_most_significant_bit_first() -> None:
    fields = "1000000010000000111010100110"
    frame = int(fields + "0000", 2).to_bytes(4, "big")
    codes = make_data.unpack(frame + bytes(4))
    assert codes.tolist() == [[257, 0], [3, 0], [10, 0], [38, 0]]


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="apt-get install espeak-ng codec2 sox"):
        make_data.require_programs(make_data.PROGRAMS)
