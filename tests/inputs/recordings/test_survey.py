"""What a survey finds in a folder of recordings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fintts_inputs.base_model.families import read_shape
from fintts_inputs.codec.find import find_codec
from fintts_inputs.errors import DataProblem, FolderMissing
from fintts_inputs.recordings.files import list_recordings
from fintts_inputs.recordings.survey import Survey, limits_of, survey
from fintts_inputs.text.spelling import spelled_out
from parity_fixtures import HERE
from recordings import LIMITS, PLANTED, plant, speech, text_of, write_corpus, write_recording
from tiny_run import TINY

NAUGHT = {"p05.wav", "p11.wav", "p12.wav", "p13.mp3", "p14.wav", "p15.lab"}
"""what cannot be encoded"""


def look(folder: Path) -> Survey:
    return survey(list_recordings(folder), LIMITS, lambda _done, _total: None)


def said(found: Survey) -> list[tuple[str, str]]:
    return [(one.file, one.sentence) for one in (*found.problems, *found.warnings)]


def test_each_of_fifteen_oddities_in_forty_recordings_is_named(tmp_path: Path) -> None:
    write_corpus(tmp_path, 26)
    plant(tmp_path)
    found = look(tmp_path)
    assert len(list(tmp_path.glob("*.[wm][ap][v3]"))) == 40
    for file, sentence in PLANTED.items():
        hits = [one for one in said(found) if one[0] == file and sentence in one[1]]
        assert len(hits) == 1, (file, sentence, said(found))
    assert {one.file for one in found.problems} == NAUGHT
    assert {file for file, _ in said(found)} == PLANTED.keys()


def test_texts_are_put_into_words_only_if_asked_and_each_change_is_named(tmp_path: Path) -> None:
    write_recording(tmp_path, "a.wav", speech(1), text="vuonna 1984 satoi, esim. lunta")
    write_recording(tmp_path, "b.wav", speech(2), text="talvi oli kylmä")
    left = look(tmp_path)
    assert (left.utterances[0].text, left.spelled) == ("vuonna 1984 satoi, esim. lunta", ())
    found = survey(list_recordings(tmp_path), LIMITS, lambda *_: None, spelled_out)
    spoken = "vuonna tuhat yhdeksänsataakahdeksankymmentäneljä satoi, esimerkiksi lunta"
    assert [one.text for one in found.utterances] == [spoken, "talvi oli kylmä"]
    assert [(one.file, one.sentence) for one in found.spelled] == [
        ("a.lab", "esim. → esimerkiksi"),
        ("a.lab", "1984 → tuhat yhdeksänsataakahdeksankymmentäneljä"),
    ]
    assert not [one for one in said(found) if "digits" in one[1] or "abbreviation" in one[1]]
    assert (tmp_path / "a.lab").read_text() == "vuonna 1984 satoi, esim. lunta"


def test_nothing_is_skipped_without_a_word(tmp_path: Path) -> None:
    write_corpus(tmp_path, 3)
    plant(tmp_path)
    found = look(tmp_path)
    there = {path.name for path in tmp_path.iterdir() if path.suffix != ".lab"}
    assert {one.file for one in found.utterances} | {one.file for one in found.problems} >= there


def test_a_sound_corpus_has_nothing_odd(tmp_path: Path) -> None:
    found = look(write_corpus(tmp_path, 12))
    assert said(found) == []
    assert [one.name for one in found.utterances] == [f"a{n:03}" for n in range(12)]


def test_a_low_rate_of_the_whole_corpus_is_said_of_each(tmp_path: Path) -> None:
    found = look(write_corpus(tmp_path, 3, rate=16_000))
    assert len(found.warnings) == 3
    assert (
        "the codec needs 44,100 Hz, so high frequencies are missing" in found.warnings[0].sentence
    )


def test_silence_at_the_ends_is_cut_and_the_loudness_measured(tmp_path: Path) -> None:
    (one,) = look(write_corpus(tmp_path, 1)).utterances
    assert one.seconds_read == pytest.approx(2.6)
    assert one.seconds == pytest.approx(2.2, abs=0.05)
    assert one.loudness_after == pytest.approx(-23)


@pytest.mark.parametrize("pair", [("hän", "ha\u0308n"), ("Satu", "satu")])
def test_twins_of_a_name_are_named(tmp_path: Path, pair: tuple[str, str]) -> None:
    for number, name in enumerate(pair):
        write_recording(tmp_path, f"{name}.wav", speech(number), text=text_of(number))
    sentences = " ".join(sentence for _, sentence in said(look(tmp_path)))
    assert "in two Unicode forms" in sentences or "only in case" in sentences


def test_names_may_be_of_any_script_and_hold_emoji(tmp_path: Path) -> None:
    names = ["🎙️ take 1", "ha\u0308n", "声", "a b"]
    for number, name in enumerate(names):
        write_recording(tmp_path, f"{name}.wav", speech(number), text=text_of(number))
    assert {one.name for one in look(tmp_path).utterances} == {"🎙️ take 1", "hän", "声", "a b"}


def test_a_name_with_control_characters_or_beyond_utf_8_is_named(tmp_path: Path) -> None:
    write_recording(tmp_path, "a\x1bb.wav", speech(1))
    (tmp_path / "x\udcff.wav").write_bytes(b"")
    found = look(tmp_path)
    assert sum("rename it" in one.sentence for one in found.problems) == 3
    assert "\x1b" not in str(said(found))


def test_formats_that_are_not_read_are_named(tmp_path: Path) -> None:
    for name in ("a.m4a", "b.parquet", ".c.wav"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "out.wav").symlink_to("/etc/hostname")
    sentences = dict(said(look(tmp_path)))
    assert sentences["a.m4a"] == "is M4A, which is not supported; convert to FLAC"
    assert "export it as an audiofolder" in sentences["b.parquet"]
    assert "hidden" in sentences[".c.wav"]
    assert "link out of" in sentences["out.wav"]


def test_two_formats_of_one_recording_are_named(tmp_path: Path) -> None:
    write_recording(tmp_path, "a.wav", speech(1))
    write_recording(tmp_path, "a.flac", speech(1))
    found = look(tmp_path)
    assert len(found.utterances) == 1
    assert [one.sentence for one in found.problems] == [
        "has the same name as a.flac; remove or rename one"
    ]


def test_no_folder_and_no_recordings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderMissing, match="does not exist"):
        look(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataProblem, match="has no recordings"):
        look(tmp_path)


def test_an_utterance_leaves_the_base_model_room_for_its_prompt() -> None:
    codec, model = find_codec(HERE / "codec_for_fish_s1_tiny").shape, read_shape(TINY)
    codec = replace(codec, most_frames=None)
    frames = limits_of(codec, model).most_seconds * codec.frames_per_second
    assert frames + model.prompt.most_tokens == pytest.approx(model.max_seq_len)


def test_hidden_recordings_are_a_warning(tmp_path: Path) -> None:
    write_corpus(tmp_path, 1)
    (tmp_path / "._a000.wav").write_bytes(b"of a Macintosh")
    found = look(tmp_path)
    assert found.problems == ()
    assert said(found) == [("._a000.wav", "is hidden, so it is not used")]
