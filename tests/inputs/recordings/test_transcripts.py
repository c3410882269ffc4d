"""The texts of recordings, from every place where they may stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fintts_inputs.recordings.files import list_recordings
from fintts_inputs.recordings.transcripts import Transcripts, read_transcripts
from fintts_inputs.recordings.wording import odd_wording


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.wav", "b.flac", "wavs/LJ001-0001.wav", "sub/ä.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def read(folder: Path) -> Transcripts:
    return read_transcripts(list_recordings(folder))


def texts(found: Transcripts) -> dict[str, str]:
    return {name: one.text for name, one in found.by_name.items()}


def problems(found: Transcripts) -> list[tuple[str, str]]:
    return [(one.file, one.sentence) for one in found.problems]


def test_a_lab_comes_before_a_txt(folder: Path) -> None:
    (folder / "a.lab").write_text("yksi\n")
    (folder / "a.txt").write_text("kaksi")
    (folder / "b.TXT").write_text("kolme")
    assert texts(read(folder)) == {"a": "yksi", "b": "kolme"}


def test_ljspeechs_table(folder: Path) -> None:
    (folder / "metadata.csv").write_text(
        'LJ001-0001|Printed in "1850".|Printed in "eighteen fifty".\na|only one\nnonsense\n\n'
    )
    found = read(folder)
    assert texts(found) == {"wavs/LJ001-0001": 'Printed in "eighteen fifty".', "a": "only one"}
    assert problems(found) == [("metadata.csv:3", "is not ID|text")]


def test_json_lines_of_several_tools(folder: Path) -> None:
    lines = [
        {"audio_filepath": "a.wav", "text": " yksi ", "speaker": "anna"},
        {"audio": str(folder / "b.flac"), "sentence": "kaksi"},
        {"path": "sub/a\u0308.wav", "transcript": "kolme", "speaker_id": 7},
        {"file": "none.wav", "text": "neljä"},
        {"text": "viisi"},
        {"path": "wavs/LJ001-0001.wav", "text": ""},
    ]
    text = "\n".join(map(json.dumps, lines)) + "\n{\n[1]\n"
    (folder / "all.jsonl").write_text(text)
    found = read(folder)
    assert texts(found) == {"a": "yksi", "b": "kaksi", "sub/ä": "kolme", "none": "neljä"}
    assert found.by_name["a"].speaker == "anna"
    assert found.by_name["sub/ä"].speaker == "7"
    assert {place for place, _ in problems(found)} == {f"all.jsonl:{n}" for n in range(4, 9)}


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_the_table_of_an_audiofolder(folder: Path, delimiter: str) -> None:
    rows = [["file_name", "transcription"], ["ä.wav", '"yksi' + delimiter + ' kaksi"']]
    text = "\n".join(delimiter.join(row) for row in rows)
    (folder / "sub" / "metadata.csv").write_text(text)
    assert texts(read(folder)) == {"sub/ä": f"yksi{delimiter} kaksi"}


def test_a_text_without_a_recording_is_named(folder: Path) -> None:
    for name in ("c.lab", "d.txt", "README.txt"):
        (folder / name).write_text("sanoja")
    said = problems(read(folder))
    assert [place for place, _ in said] == ["c.lab", "d.txt"]
    assert said[0][1] == "is the text of c, which has no recording"


def test_two_places_that_disagree_are_named(folder: Path) -> None:
    (folder / "a.lab").write_text("yksi")
    (folder / "list.jsonl").write_text('{"path": "a.wav", "text": "kaksi", "speaker": "anna"}\n')
    found = read(folder)
    assert texts(found) == {"a": "yksi"}
    assert problems(found) == [("list.jsonl:1", "differs from what a.lab says of a")]


def test_texts_that_cannot_be_read_are_named(folder: Path) -> None:
    (folder / "a.lab").write_bytes("ä".encode("latin-1"))
    (folder / "b.lab").write_text(" ")
    (folder / "metadata.csv").write_bytes(b"\xff\xfe|")
    assert dict(problems(read(folder))) == {
        "a.lab": "is not UTF-8: its byte 1 is 0xE4; save it as UTF-8",
        "b.lab": "is empty",
        "metadata.csv": "is not UTF-8; save it as UTF-8",
    }


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("vuonna 1984 satoi", '"1984"'),
        ("kello 12.30 alkoi", '"12.30"'),
        ("meren esim. tyynen", '"esim."'),
        ("tohtori Dr. Virtanen", '"Dr."'),
        ("Suomi ja NATO tänään", '"NATO"'),
        ("kÃ¤vely", "UTF-8"),
    ],
)
def test_odd_wording_is_named(text: str, part: str) -> None:
    assert [part in sentence for sentence in odd_wording(text)] == [True]


@pytest.mark.parametrize("text", ["Tulen. Ja menen.", "HUOMENTA PÄIVÄÄ", "Jo. Ei. No niin.", "ei"])
def test_ordinary_wording_is_not(text: str) -> None:
    assert list(odd_wording(text)) == []


SEPARATORS = "yksi\u2028kaksi\x85kolme\x0cneljä"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("all.jsonl", json.dumps({"path": "a.wav", "text": SEPARATORS}, ensure_ascii=False)),
        ("metadata.csv", f"a|{SEPARATORS}"),
        ("metadata.csv", f"file_name,text\na.wav,{SEPARATORS}"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_line_feeds_end_a_line(folder: Path, name: str, text: str, newline: str) -> None:
    content = text.replace("\n", newline) + newline
    (folder / name).write_bytes(content.encode())
    found = read(folder)
    assert (texts(found), problems(found)) == ({"a": SEPARATORS}, [])


def test_a_column_that_only_contains_a_known_name_is_no_header(folder: Path) -> None:
    (folder / "metadata.csv").write_text("profile_names,text\na.wav,yksi\n")
    found = read(folder)
    assert texts(found) == {}
    assert problems(found)[0][1].startswith("has no column named audio_filepath, ")
