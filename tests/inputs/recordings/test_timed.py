"""Texts with times: what is read, what is refused by name, and where recordings are cut by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from fintts_inputs.recordings.cutting import HOP_SECONDS, cuts, pieces_of
from fintts_inputs.recordings.files import list_recordings
from fintts_inputs.recordings.sound import Unreadable
from fintts_inputs.recordings.survey import Survey, survey
from fintts_inputs.recordings.timed import Cue, TimedText, in_sentences, read_timed
from recordings import LIMITS, speech, write_recording
from waves import voice

RATE = 8_000


def timed(folder: Path, content: str | bytes, name: str = "talk.srt") -> TimedText:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_timed(path)


def look(folder: Path) -> Survey:
    return survey(list_recordings(folder), LIMITS, lambda _done, _total: None)


def talk(folder: Path, times: list[tuple[float, float]], seconds: float, name: str) -> Path:
    """A recording that speaks at these times, each in a voice of its own."""
    samples = np.random.default_rng(5).normal(0, 1e-4, round(seconds * RATE)).astype(np.float32)
    for number, (begin, end) in enumerate(times):
        wave = voice(end - begin, RATE, 90 + 7 * number, number)
        samples[round(begin * RATE) :][: len(wave)] += wave
    return write_recording(folder, name, samples, RATE, text=None)


def srt(*cues: tuple[str, str]) -> str:
    return "\n\n".join(f"{n}\n{times}\n{text}" for n, (times, text) in enumerate(cues, 1)) + "\n"


SPOKEN = [(0.5, 3.0), (3.6, 6.0), (6.9, 9.5)]
TALK = srt(
    ("00:00:00,400 --> 00:00:03,200", "Vaka vanha Väinämöinen."),
    ("00:00:03,700 --> 00:00:05,900", "Itse tuon sanoiksi virkkoi!"),
    ("00:00:06,800 --> 00:00:09,600", "Hiljaa soitti kantele?"),
)


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "times",
    ["00:00:01,500 --> 00:00:02,750", "0:0:1.5 --> 00:02.75", "00:01.500-->00:02.750 align:left"],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\N{BOM}"])
def test_times_and_lines_of_many_programs_are_read(
    tmp_path: Path, times: str, ending: str, mark: str
) -> None:
    content = f"{mark}\n1\n{times}\n<i>Hyvää</i> <v Anna>huomenta &amp;\n{{\\an8}}päivää.\n \t\n\n"
    found = timed(tmp_path, content.replace("\n", ending))
    assert found == TimedText([Cue(1.5, 2.75, "Hyvää huomenta & päivää.", 1)], [], [])


def test_headers_notes_and_styles_are_no_text(tmp_path: Path) -> None:
    content = (
        "WEBVTT - title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:a\n\n"
        "NOTE was\n00:01.000 --> 00:02.000\nold\n\nintro\n00:01.000 --> 00:02.000\nHei.\n"
    )
    assert timed(tmp_path, content, "a.vtt") == TimedText([Cue(1, 2, "Hei.", 1)], [], [])


ONE, TWO = "00:00:01,000 --> 00:00:02,000", "00:00:03,000 --> 00:00:04,000"


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        (b"", ["is empty"]),
        (b"a\n", ["text without times after cue 0: a"]),
        (b"WEBVTT\n\nNOTE nothing\n", ["has no text with times"]),
        (srt((ONE, "a"), (TWO, "\xe4")).encode("latin-1"), ["is not UTF-8: its byte 68 is 0xE4"]),
        (srt((ONE, "a")).encode("utf-16"), ["is UTF-16"]),
        (b"x" * (4 * 1024**2 + 1), ["is too large"]),
        (srt((TWO, "a"), (ONE, "b")), ["cue 2 begins before cue 1"]),
        (
            srt((ONE, "a"), ("00:00:01,400 --> 00:00:04,000", "b")),
            ["cues 1 and 2 overlap"],
        ),
        (srt(("00:00:02,000 --> 00:00:01,000", "a")), ["cue 1 ends before it begins"]),
        (
            srt((ONE, "a"), ("soon --> later", "b")),
            ["cue 2 has times that cannot be read: soon"],
        ),
        (srt(("00:99:01,000 --> 00:99:02,000", "a")), ["cue 1 has times that cannot be read"]),
        (srt((ONE, f"a\n2\n{TWO}\nb")), ["no empty line before cue 2"]),
        (srt((ONE, "a\n\nsecond line")), ["text without times after cue 1: second line"]),
        (
            srt((TWO, "a"), (ONE, "b"), ("x --> y", "c")),
            ["cue 3 has times that cannot be read", "cue 2 begins before cue 1"],
        ),
    ],
)
def test_each_fault_names_its_cue(tmp_path: Path, content: str | bytes, faults: list[str]) -> None:
    found = timed(tmp_path, content)
    assert len(found.faults) == len(faults), found.faults
    for said, wanted in zip(found.faults, faults, strict=True):
        assert said.startswith(wanted)


def test_long_lines_of_brackets_take_no_time(tmp_path: Path) -> None:
    content = srt((ONE, "<" * 1_000_000 + "{\\" * 400_000), (TWO, "a"))
    assert not timed(tmp_path, content).faults


def test_cues_become_sentences_of_sensible_length() -> None:
    cues = [
        Cue(0, 3, "Vaka vanha", 1),
        Cue(3.2, 6, "Väinämöinen.", 2),
        Cue(6.1, 6.9, "Hei!", 3),
        Cue(7.0, 9.5, "Kuka siellä?”", 4),
        Cue(9.6, 12, "Ilman loppua", 5),
        Cue(14, 17, "pitkän tauon jälkeen.", 6),
        *(Cue(20.0 + 9 * n, 29.0 + 9 * n, "ja niin", 7 + n) for n in range(3)),
    ]
    assert [(one.begin, one.end, one.text) for one in in_sentences(cues)] == [
        (0, 6, "Vaka vanha Väinämöinen."),
        (6.1, 9.5, "Hei! Kuka siellä?”"),
        (9.6, 12, "Ilman loppua"),
        (14, 17, "pitkän tauon jälkeen."),
        (20, 38, "ja niin ja niin"),
        (38, 47, "ja niin"),
    ]


# --- cutting --------------------------------------------------------------------------------------


def test_no_cut_goes_through_speech_though_the_times_are_off() -> None:
    generator = np.random.default_rng(3)
    for _ in range(50):
        lengths, pauses = generator.uniform(1, 4, 12), generator.uniform(0.2, 0.9, 12)
        ends = np.cumsum(lengths + pauses)
        begins = ends - lengths
        levels = np.full(round((ends[-1] + 1) / HOP_SECONDS), 1e-6)
        for begin, end in zip(begins, ends, strict=True):
            levels[round(begin / HOP_SECONDS) : round(end / HOP_SECONDS)] = 0.1
        off = generator.uniform(-0.2, 0.2, 12)
        cues = [Cue(b + o, e + o, "a", 1) for b, e, o in zip(begins, ends, off, strict=True)]
        found = np.array(cuts(levels, cues, HOP_SECONDS)) * HOP_SECONDS
        assert (found[:, 0] <= begins + 0.01).all()
        assert (found[:, 1] >= ends - 0.01).all()
        assert (found[1:, 0] >= found[:-1, 1]).all()


def test_pieces_share_no_sound_and_none_is_empty_where_no_pause_is() -> None:
    generator = np.random.default_rng(3)
    ends = np.cumsum(generator.uniform(0.2, 1.2, 100))
    begins = np.maximum.accumulate(ends - generator.uniform(0.1, 0.9, 100)).clip(0)
    cues = [Cue(b, max(b + 0.05, e), "a", 1) for b, e in zip(begins, ends, strict=True)]
    levels = generator.uniform(0.1, 1, round((ends[-1] + 1) / HOP_SECONDS))
    found = np.array(cuts(levels, cues, HOP_SECONDS))
    assert (found[:, 1] > found[:, 0]).all()
    assert (found[1:, 0] >= found[:-1, 1]).all()


def test_a_recording_is_cut_into_utterances_with_names_that_stay(tmp_path: Path) -> None:
    talk(tmp_path, SPOKEN, 10, "folder/talk.flac")
    path = tmp_path / "folder" / "talk.srt"
    path.write_text(TALK)
    found = look(tmp_path)
    assert not found.problems
    assert {one.name: one.text for one in found.utterances} == {
        "folder/talk-000000400": "Vaka vanha Väinämöinen.",
        "folder/talk-000003700": "Itse tuon sanoiksi virkkoi!",
        "folder/talk-000006800": "Hiljaa soitti kantele?",
    }
    for one, (begin, end) in zip(found.utterances, SPOKEN, strict=True):
        assert one.piece is not None
        assert (one.piece.first + one.begin) / RATE == pytest.approx(begin, abs=0.15)
        assert (one.piece.first + one.end) / RATE == pytest.approx(end, abs=0.15)
    assert [(one.file, one.text_place, one.speaker) for one in found.utterances][:1] == [
        ("folder/talk.flac, from 0.4 s", "folder/talk.srt, cue 1", "folder")
    ]
    path.write_text(TALK.partition("\n\n")[2])
    without_first = look(tmp_path).utterances
    assert [(one.name, one.digest, one.begin) for one in without_first] == [
        (one.name, one.digest, one.begin) for one in found.utterances[1:]
    ]


def test_a_long_recording_is_cut_and_without_times_refused(tmp_path: Path) -> None:
    path = talk(tmp_path, SPOKEN, 300, "talk.wav")
    path.with_suffix(".txt").write_text("Vaka vanha Väinämöinen.")
    (refused,) = look(tmp_path).problems
    assert refused.sentence == (
        "is 300.0 s long, but the limit is 190.0 s; cut it at pauses, or put a .srt or .vtt with "
        "its text and times beside it, and no other text"
    )
    path.with_suffix(".vtt").write_text("no times")
    path.with_suffix(".srt").write_text(TALK)
    assert ("talk.srt", "is not used: talk.txt has the whole text") in [
        (one.file, one.sentence) for one in look(tmp_path).warnings
    ]
    path.with_suffix(".txt").unlink()
    found = look(tmp_path)
    assert not found.problems
    spoken = read_timed(path.with_suffix(".srt")).cues
    assert [one.text for one in found.utterances] == [cue.text for cue in spoken]


def test_a_whole_text_counts_before_times(tmp_path: Path) -> None:
    path = write_recording(tmp_path, "a.wav", speech(1), text="talvi oli kylmä")
    alone = look(tmp_path)
    path.with_suffix(".srt").write_text(TALK)
    (tmp_path / "b.vtt").write_text(TALK)
    found = look(tmp_path)
    assert (found.utterances, found.problems) == (alone.utterances, ())
    assert [(one.file, one.sentence) for one in found.warnings] == [
        ("a.srt", "is not used: a.lab has the whole text"),
        ("b.vtt", "is the text of b, which has no recording"),
    ]


@pytest.mark.parametrize(
    ("cue", "file", "sentence"),
    [
        ("00:00:12,000 --> 00:00:14,000", "talk.wav", "(cue 4) ends at 14.0 s"),
        ("00:00:09,700 --> 00:00:09,710", "talk.wav, from 9.7 s", "is silent"),
        ("00:00:09,700 --> 00:00:09,600", "talk.srt", "cue 4 ends before it begins"),
    ],
)
def test_a_text_that_fits_no_sound_is_a_problem(
    tmp_path: Path, cue: str, file: str, sentence: str
) -> None:
    talk(tmp_path, SPOKEN, 10, "talk.wav")
    (tmp_path / "talk.srt").write_text(f"{TALK}\n4\n{cue}\nLoppu.\n")
    (problem,) = look(tmp_path).problems
    assert problem.file == file
    assert sentence in problem.sentence


def test_a_cue_without_text_and_a_name_that_is_taken_are_named(tmp_path: Path) -> None:
    talk(tmp_path, SPOKEN, 10, "talk.wav")
    (tmp_path / "talk.srt").write_text(f"{TALK}\n4\n00:00:09,600 --> 00:00:09,900\n<b></b>\n")
    write_recording(tmp_path, "talk-000003700.wav", speech(1), text="talvi oli kylmä")
    found = look(tmp_path)
    assert [(one.file, one.sentence) for one in found.problems] == [
        ("talk.wav, from 3.7 s", "would be called talk-000003700, as another recording; rename it")
    ]
    assert ("talk.srt", "has no text in cue 4; it is left out") in [
        (one.file, one.sentence) for one in found.warnings
    ]


def test_damage_inside_a_recording_is_named(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    samples = np.full(10 * RATE, 0.1, np.float32)
    samples[5 * RATE] = np.nan
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    with pytest.raises(Unreadable, match="not finite"):
        pieces_of(path, [Cue(1, 2, "a", 1)])
    soundfile.write(path, samples[:0], RATE)
    with pytest.raises(Unreadable, match="no samples"):
        pieces_of(path, [Cue(1, 2, "a", 1)])
