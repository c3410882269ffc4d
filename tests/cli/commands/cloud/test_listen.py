"""`fintts cloud listen`: the same sentences by base model and checkpoints, on one page."""

from __future__ import annotations

import re
import wave
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import Result

from checks import every
from cli_project import Shell
from command_line import invoke
from fintts_cli.errors import UsageProblem
from fintts_cli.speech.samples import (
    SamplesRecord,
    begin,
    given_sentences,
    held_out_sentences,
    rows_of,
    seconds_of,
)
from fintts_cli.speech.voices import Source
from fintts_cli.views.html.listening_page import ListeningPage
from fintts_cli.views.html.pages import listening_page
from fintts_inputs.data.holdout import is_held_out
from fintts_store.checkpoints.manifest import Manifest
from run_samples import manifest
from speaking_project import TEXT, write_speaking_project

NOW = datetime(2026, 5, 4, tzinfo=UTC)
RECORD = SamplesRecord(run="mine", texts=("yksi", "kaksi"), seed=0, max_seconds=15)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project and its store."""
    folder = tmp_path_factory.mktemp("listen")
    write_speaking_project(folder)
    return folder


def test_every_checkpoint_is_heard_and_a_second_call_speaks_nothing_anew(made: Path) -> None:
    shell = Shell(made / "project")
    options = ("mine", "--held-out", "1", "--max-seconds", "0.2")
    found = shell.document("cloud", "listen", *options)
    assert found["page"] == "samples/mine/index.html"
    heard = [(one["voice"], one["step"], one["best"]) for one in found["samples"]]
    assert heard == [
        ("original", None, False),
        ("base", None, False),
        ("step 100", 100, True),
        ("step 200", 200, False),
    ]
    paths = [made / "project" / one["path"] for one in found["samples"]]
    assert every(one["seconds"] > 0 for one in found["samples"])
    assert len({path.read_bytes() for path in paths}) == 4
    page = (made / "project" / found["page"]).read_text()
    assert re.findall(r'<audio [^>]*src="([^"]+)"', page) == [path.name for path in paths]
    paths[2].unlink()
    before = {path: path.stat().st_mtime_ns for path in paths if path.exists()}
    assert shell.document("cloud", "listen", *options) == found
    assert {path: path.stat().st_mtime_ns for path in before} == before
    other = shell("cloud", "listen", "mine", "--text", "muuta")
    assert other.returncode == 2
    assert "something other than samples of these texts" in other.stderr


def listen(*arguments: str) -> Result:
    return invoke(["cloud", "listen", *arguments])


def test_what_is_impossible_is_said(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made / "project")
    cases = {
        ("nine",): (2, "there is no run nine"),
        ("mine", "--text", " "): (2, "--text is empty"),
        ("mine", "--to", "../store/a"): (2, "is inside the store"),
        ("mine", "--held-out", "0"): (2, ""),
        ("mine", "--to", "base"): (2, "something other than samples"),
        ("mine", "--codec", "speech"): (1, "has no codec.pth"),
    }
    for arguments, (code, said) in cases.items():
        refused = listen(*arguments)
        assert refused.exit_code == code, (arguments, refused.stderr)
        assert said in refused.stderr.replace("\n", " ")


def test_held_out_sentences_are_those_that_no_step_is_trained_on(made: Path) -> None:
    data = made / "project" / "speech"
    found = held_out_sentences(data, 0.5, 3)
    names = [Path(str(one.recording.recording)).stem for one in found if one.recording]
    assert names
    assert len(names) <= 3
    assert every(is_held_out(name, 0.5) for name in names)
    assert [one.text for one in found] == [f"{TEXT} {name}" for name in names]


def checkpoints() -> list[Manifest]:
    return [manifest(step=100, value=4.0), manifest(step=200, value=5.0)]


def test_an_adapter_is_fetched_only_if_a_file_is_missing(tmp_path: Path) -> None:
    sentences = given_sentences(["yksi", "kaksi"], None)
    rows = rows_of(sentences, checkpoints(), tmp_path)
    assert [(row.name, row.is_best) for row in rows] == [
        ("base", False),
        ("step 100", True),
        ("step 200", False),
    ]
    asked: list[int] = []

    def source_of(one: Manifest) -> Source:
        asked.append(one.step)
        return Source(f"step {one.step}", "x", one.step, tmp_path)

    for file in (*rows[1].files, rows[2].files[0]):
        assert file is not None
        file.touch()
    voices = [voice for row in rows for voice in row.missing(sentences, source_of)]
    assert asked == [200]
    assert [(one.name, one.text) for one in voices] == [
        ("base, sentence 1", "yksi"),
        ("base, sentence 2", "kaksi"),
        ("step 200, sentence 2", "kaksi"),
    ]


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    begin(tmp_path / "new", RECORD)
    begin(tmp_path / "new", RECORD)
    with pytest.raises(UsageProblem, match="something other"):
        begin(tmp_path / "new", RECORD.model_copy(update={"seed": 1}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UsageProblem, match="something other"):
        begin(tmp_path / "mine", RECORD)


def test_what_a_store_or_a_text_holds_is_text_on_the_page(tmp_path: Path) -> None:
    evil = '<img src=x onerror="y">'
    record = RECORD.model_copy(update={"texts": (evil, "b")})
    bad = manifest(step=100, value=4.0).model_copy(update={"monitor": evil})
    rows = rows_of(given_sentences(record.texts, None), [bad], tmp_path)
    page = listening_page(ListeningPage.of(record, rows), NOW)
    assert "<img" not in page
    assert page.count("<audio") == 4


def test_a_file_that_is_no_sound_has_no_length(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("RIFF")
    assert seconds_of(tmp_path / "a.wav") is None
    assert seconds_of(tmp_path / "none.wav") is None
    with wave.open(str(tmp_path / "b.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(100)
        file.writeframes(bytes(100))
    assert seconds_of(tmp_path / "b.wav") == 0.5
