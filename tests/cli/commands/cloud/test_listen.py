"""`fintts cloud listen`: the same sentences by base model and checkpoints, on one page."""

from __future__ import annotations

import base64
import json
import re
import wave
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
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
from fintts_cli.speech.stored import heard_in
from fintts_cli.speech.voices import Source
from fintts_cli.views.html.listening_page import ListeningPage
from fintts_cli.views.html.pages import listening_page
from fintts_cli.views.mel_picture import mel_picture
from fintts_inputs.data.holdout import is_held_out
from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.layout import metrics_key, result_key, samples_prefix
from fintts_store.runs.records import MetricRow
from fintts_store.runs.runs import create_run
from fintts_store.runs.samples import BASE, ORIGINAL, Sample, SampleSet
from fintts_trainer.synthesis.wav import wav_of
from recordings import speech, write_recording
from run_samples import manifest, record, result
from speaking_project import TEXT, write_speaking_project

WAV = wav_of(np.zeros(100, np.float32), 8000)
LYING = (
    WAV[:40] + (2**31).to_bytes(4, "little") + WAV[44:],
    WAV[:-2],
    WAV[:24] + bytes(4) + WAV[28:],
    WAV[:16] + b"\xff" + WAV[17:50],
)
"""WAV files that claim 2 GB, lack their end, have no rate, and whose format is longer than they"""
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
    pictures = re.findall(r'<img class="mel"[^>]* src="data:image/png;base64,([^"]+)"', page)
    drawn = [mel_picture(path.read_bytes()) for path in paths]
    assert [base64.b64decode(picture) for picture in pictures] == drawn
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
        ("mine", "--codec", "speech"): (1, "or use --codec for one elsewhere"),
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


def test_recordings_are_their_own_originals(tmp_path: Path) -> None:
    for number in range(8):
        write_recording(
            tmp_path, f"b/{number}.wav", speech(number, 0.3), text=f" ha\u0308n {number}\r\n"
        )
    write_recording(tmp_path, "a.flac", speech(9, 0.3), text=None)
    found = held_out_sentences(tmp_path, 0.5, 3)
    files = [one.recording.recording for one in found if one.recording]
    names = [f"b/{path.stem}" for path in files if path]
    assert names == [f"b/{n}" for n in range(8) if is_held_out(f"b/{n}", 0.5)][:3] != []
    assert [one.text for one in found] == [f"hän {name[2:]}" for name in names]
    [sentence, other] = given_sentences(["hän 5", "toinen"], tmp_path)
    assert sentence.recording is not None
    assert sentence.recording.recording == tmp_path / "b" / "5.wav"
    assert other.recording is None


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
    (tmp_path / "long.wav").write_bytes(LYING[-1])
    assert seconds_of(tmp_path / "long.wav") is None
    with wave.open(str(tmp_path / "b.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(100)
        file.writeframes(bytes(100))
    assert seconds_of(tmp_path / "b.wav") == 0.5


# --- what the run itself has spoken ---------------------------------------------------------------


@pytest.fixture
def spoken(own_folder: Path) -> DirectoryStore:
    """A run that has spoken two sentences, the second one also recorded."""
    store = DirectoryStore(own_folder / "store")
    create_run(store, record(run="mine"))
    rows = [
        MetricRow(step=step, kind="validation", values={"loss": loss}, at=NOW)
        for step, loss in ((0, 9.0), (100, 4.0), (200, 5.0))
    ]
    store.put(metrics_key("mine", 1, 0), "".join(row.dump() + "\n" for row in rows).encode())
    sentences = SampleSet(
        run="mine", claim=1, texts=("yksi", "<b>2", "3", "4", "5", "6"), seed=3, max_seconds=9
    )
    store.put(samples_prefix("mine", 1) + "samples.json", sentences.dump().encode())
    for who in (BASE, 100, 200):
        for number in (1, 2):
            store.put(Sample(1, who, number).key("mine"), WAV)
    store.put(Sample(1, ORIGINAL, 2).key("mine"), WAV)
    for number, bad in ((1, b"<script>"), *enumerate(LYING, 3)):
        store.put(Sample(1, 200, number).key("mine"), bad)
    return store


def test_what_the_run_has_spoken_is_fetched_without_any_model(
    spoken: DirectoryStore, own_folder: Path
) -> None:
    found = listen("mine", "--store", spoken.url, "--json")
    assert found.exit_code == 0, found.stderr
    for number in (1, 3, 4, 5, 6):
        left_out = f"000001/step-000000200-{number:02d}.wav is left out: it is no WAV file"
        assert left_out in found.stderr
    told = json.loads(found.stdout)
    assert told["seed"] == 3
    heard = [(one["voice"], one["text"], one["step"], one["best"]) for one in told["samples"]]
    assert heard == [
        ("original", "<b>2", None, False),
        ("base", "yksi", None, False),
        ("base", "<b>2", None, False),
        ("step 100", "yksi", 100, True),
        ("step 100", "<b>2", 100, True),
        ("step 200", "<b>2", 200, False),
    ]
    files = sorted(path.name for path in (own_folder / "samples" / "mine").glob("*.wav"))
    assert files == [
        "1-base-01.wav",
        "1-base-02.wav",
        "1-original-02.wav",
        "1-step-000000100-01.wav",
        "1-step-000000100-02.wav",
        "1-step-000000200-02.wav",
    ]
    page = (own_folder / told["page"]).read_text()
    assert page.count("<audio") == page.count("<img") == 6
    assert "val/loss 4" in page
    assert "<b>2" not in page
    spoken.put(Sample(1, 200, 1).key("mine"), WAV)
    again = json.loads(listen("mine", "--store", spoken.url, "--json").stdout)
    assert len(again["samples"]) == 7


def test_a_run_that_has_not_spoken_yet_gets_no_other_sentences(own_folder: Path) -> None:
    store = DirectoryStore(own_folder / "store")
    asked = record(run="mine")
    create_run(store, asked.model_copy(update={"config": {"samples": {"held_out": 1}}}))
    refused = listen("mine", "--store", store.url)
    assert (refused.exit_code, list(own_folder.glob("samples*"))) == (1, [])
    assert "run mine has not spoken yet" in refused.stderr
    for options in (("--held-out", "3"), ()):
        here = listen("mine", "--store", store.url, *options)
        assert "no base model is given" in here.stderr
        store.put(result_key("mine"), result(run="mine").dump().encode())


def test_a_text_of_yours_is_spoken_here(spoken: DirectoryStore, own_folder: Path) -> None:
    refused = listen("mine", "--store", spoken.url, "--text", "muuta")
    assert refused.exit_code == 2
    assert "no base model is given" in refused.stderr


def test_the_report_holds_recording_base_best_and_last(
    spoken: DirectoryStore, own_folder: Path
) -> None:
    heard = heard_in(spoken, "mine", 100)
    assert [(one.text, one.name) for one in heard] == [
        ("yksi", "base model"),
        ("yksi", "best, step 100"),
        ("<b>2", "recording"),
        ("<b>2", "base model"),
        ("<b>2", "best, step 100"),
        ("<b>2", "last, step 200"),
    ]
    written = invoke(["cloud", "report", "mine", "--store", spoken.url, "--html", "run.html"])
    assert written.exit_code == 0, written.stderr
    page = (own_folder / "run.html").read_text()
    assert page.count('<audio controls preload="none" src="data:audio/wav;base64,UklGR') == 4
    assert page.count('src="data:image/png;base64,') == 4
    assert "media-src data:" in page
    assert "<b>2" not in page
