"""Recordings as a run's data: refused in a sentence before anything is rented, uploaded once."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fintts_cli import sound_packages
from fintts_cli.errors import UsageProblem
from fintts_cli.launch.kept_data import kept_if_missing
from fintts_cli.launch.recordings import CheckedRecordings
from fintts_cli.launch.resume import refuse_other_inputs
from fintts_cli.launch.upload import CheckedInputs, check_inputs, upload_inputs
from fintts_inputs.config import RunConfig
from fintts_inputs.data.packing import pack_folder
from fintts_inputs.errors import CodecProblem, DataProblem, FolderMissing, InputError
from fintts_inputs.recordings import parts
from fintts_inputs.recordings.transcripts import as_in_a_file
from fintts_store.backends.directory import DirectoryStore
from fintts_store.encoded import commit_encoded, find_encoded, stored_parts
from fintts_store.errors import CheckpointCorrupt, StoreDenied
from fintts_store.runs.run_record import DatasetRef, EncodedRecord, RecordingsRef
from fintts_store.runs.runs import read_run
from fintts_store.upkeep.inputs import faults_of, inputs_of, list_inputs, unused_among
from parity_fixtures import HERE
from recorded_project import begin_run, write_recorded_project
from recordings import TEXT, speech, write_recording
from tiny_run import start_run, write_speech


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_SECONDS", 2.0)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_recorded_project(tmp_path / "project", 9)


def checked(project: Path) -> CheckedInputs:
    return check_inputs(
        RunConfig.model_validate(
            {"data": project / "recordings", "base_model": project / "base"},
        )
    )


def recordings_of(inputs: CheckedInputs) -> CheckedRecordings:
    assert inputs.recordings is not None
    return inputs.recordings


def upload(store: DirectoryStore, inputs: CheckedInputs) -> RecordingsRef:
    return recordings_of(inputs).upload(store, lambda _sentence: None)


# --- refusals -------------------------------------------------------------------------------------


def test_a_broken_recording_among_many_is_named(project: Path) -> None:
    for name, content in {"b.wav": b"", "c.mp3": b"\xff\xfb no frames" * 50}.items():
        (project / "recordings" / name).write_bytes(content)
        (project / "recordings" / name).with_suffix(".lab").write_text(TEXT)
    with pytest.raises(DataProblem) as refused:
        checked(project)
    assert "has 2 problems: b.wav: is an empty file; c.mp3: cannot be read" in refused.value.message
    assert "fintts data check" in refused.value.hint


@pytest.mark.parametrize("left", ["nothing", "texts", "unknown"])
def test_a_folder_without_sound_is_refused(project: Path, left: str) -> None:
    for path in (project / "recordings").rglob("*"):
        if path.is_file() and not (left == "texts" and path.suffix == ".lab"):
            path.unlink()
    if left == "unknown":
        (project / "recordings" / "a.m4a").write_bytes(b"x")
    with pytest.raises(InputError, match=r"has no|beside it|M4A, which is not supported"):
        checked(project)


def test_a_codec_that_does_not_fit_is_refused(project: Path) -> None:
    shutil.copytree(HERE / "codec_s1_tiny", project / "base", dirs_exist_ok=True)
    with pytest.raises(CodecProblem, match="the base model"):
        checked(project)


def test_without_a_codec_it_says_how_to_get_one(project: Path) -> None:
    (project / "base" / "codec.pth").unlink()
    with pytest.raises(CodecProblem) as refused:
        checked(project)
    assert "or encode with `fintts data encode --codec PATH`" in refused.value.hint


def test_without_the_packages_it_says_which(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_packages, "READERS", ("no_such_package",))
    with pytest.raises(UsageProblem) as refused:
        checked(project)
    assert refused.value.hint == "pip install 'fintts[audio]'"


# --- the upload -----------------------------------------------------------------------------------


def test_it_happens_once_and_goes_on_where_it_was(project: Path, tmp_path: Path) -> None:
    store, inputs = DirectoryStore(tmp_path / "store"), checked(project)
    first = upload(store, inputs)
    assert len(first.parts) >= 2
    assert sum(file.size_bytes for file in first.parts) < 12 * 44_100 * 2
    [lost] = [file for file in first.parts if file.name.startswith("00001-")]
    store.delete(first.prefix + lost.name)
    times = {path: path.stat().st_mtime_ns for path in store.root.rglob("*.zip")}
    assert upload(store, checked(project)) == first
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert (store.root / (first.prefix + lost.name)).exists()


def test_the_sound_counts_and_neither_names_nor_texts(project: Path) -> None:
    before = recordings_of(checked(project)).described
    folder = project / "recordings"
    (folder / "a000.lab").write_text("toinen teksti")
    (folder / "a001.wav").rename(folder / "NIMI.wav")
    (folder / "a001.lab").rename(folder / "NIMI.lab")
    other = recordings_of(checked(project)).described
    assert (other.prefix, other.encoded) == (before.prefix, before.encoded)
    assert other.texts != before.texts
    write_recording(folder, "a002.wav", speech(80, 0.5))
    assert recordings_of(checked(project)).described.prefix != before.prefix


def test_a_folder_that_changes_after_the_check_is_refused(project: Path, tmp_path: Path) -> None:
    store, inputs = DirectoryStore(tmp_path / "store"), checked(project)
    write_recording(project / "recordings", "a003.wav", speech(81, 0.5))
    with pytest.raises(DataProblem, match=r"a003\.wav has changed since it was checked"):
        upload(store, inputs)
    (project / "recordings" / "a003.wav").unlink()
    with pytest.raises(DataProblem, match=r"a003\.wav cannot be read"):
        upload(store, inputs)


def test_a_text_is_as_the_pairs_have_it() -> None:
    assert as_in_a_file(" ha\u0308n\r\nsoitti\r") == "hän\nsoitti"


# --- what is encoded ------------------------------------------------------------------------------


def committed(store: DirectoryStore, ref: RecordingsRef, content: bytes = b"pack") -> EncodedRecord:
    sha256 = hashlib.sha256(content).hexdigest()
    key = f"{ref.encoded}{sha256}.safetensors"
    store.put(key, content)
    data = DatasetRef(
        key=key,
        sha256=sha256,
        size_bytes=len(content),
        utterances=ref.utterances,
        frames=ref.frames,
    )
    now = "2026-12-01T12:00:00Z"
    return EncodedRecord.model_validate(
        {
            "texts_sha256": ref.texts.sha256,
            "dataset": data.model_dump(),
            "codec": ref.codec,
            "fintts_version": "test",
            "encoded_at": now,
        }
    )


def test_a_run_on_encoded_recordings_uploads_neither_them_nor_the_codec(
    project: Path, tmp_path: Path
) -> None:
    store, inputs = DirectoryStore(tmp_path / "store"), checked(project)
    ref = recordings_of(inputs).described
    assert inputs.beside(store).speech_seconds == pytest.approx(ref.seconds)
    commit_encoded(store, ref, committed(store, ref))
    assert inputs.beside(store).speech_seconds == 0
    made = upload_inputs(store, inputs, lambda _sentence: None)
    assert made.dataset is not None
    assert (made.codec, made.adds_to) == (None, [])
    assert list(store.list("recordings/")) == list(store.list("codecs/")) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"texts_sha256": "e" * 64},
        {"codec": "another"},
        {"dataset": {"utterances": 3}},
        {"dataset": {"size_bytes": 5}},
        {"dataset": {"key": f"encoded/{'e' * 64}/{'d' * 64}.safetensors"}},
        {"dataset": {"key": f"encoded/../datasets/{'d' * 64}.safetensors"}},
    ],
)
def test_a_record_that_does_not_fit_counts_as_none(
    project: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    store, ref = DirectoryStore(tmp_path / "store"), recordings_of(checked(project)).described
    good = committed(store, ref)
    content = good.model_dump(mode="json")
    data = content["dataset"] | changes.get("dataset", {})
    bad = EncodedRecord.model_construct(
        **content
        | {key: value for key, value in changes.items() if key != "dataset"}
        | {"dataset": data}
    )
    store.put(f"{ref.encoded}{ref.texts.sha256}.json", bad.model_dump_json(warnings=False).encode())
    assert find_encoded(store, ref) is None
    assert commit_encoded(store, ref, good) == good == find_encoded(store, ref)


def test_of_two_runs_the_first_one_counts(project: Path, tmp_path: Path) -> None:
    store, ref = DirectoryStore(tmp_path / "store"), recordings_of(checked(project)).described
    first = committed(store, ref)
    assert commit_encoded(store, ref, first) == first
    second = first.model_copy(update={"fintts_version": "another"})
    assert commit_encoded(store, ref, second) == first


def test_what_is_encoded_in_part_is_not_counted(project: Path, tmp_path: Path) -> None:
    store, inputs = DirectoryStore(tmp_path / "store"), checked(project)
    ref = recordings_of(inputs).described
    store.put(f"{ref.encoded}00000-{'a' * 64}.zip", b"x")
    assert 0 < inputs.beside(store).speech_seconds < ref.seconds
    assert set(stored_parts(store, ref.encoded)) == {0}


# --- the run --------------------------------------------------------------------------------------


def test_a_run_resumes_on_the_same_recordings_alone(project: Path) -> None:
    run = begin_run(project)
    record = read_run(run.store, run.name)
    assert record.dataset is None
    same = upload_inputs(run.store, checked(project), lambda _sentence: None)
    refuse_other_inputs(record, same)
    (project / "recordings" / "a000.lab").write_text("toinen teksti")
    other = upload_inputs(run.store, checked(project), lambda _sentence: None)
    with pytest.raises(UsageProblem, match="data: the content of the folder"):
        refuse_other_inputs(record, other)
    with pytest.raises(UsageProblem, match="data: the content of the folder"):
        refuse_other_inputs(record, replace(same, recordings=None))


def test_the_check_of_the_store_knows_them(project: Path) -> None:
    run = begin_run(project)
    record = read_run(run.store, run.name)
    assert record.recordings is not None
    run.store.put(f"{record.recordings.encoded}00000-{'a' * 64}.zip", b"x")
    there = list_inputs(run.store)
    assert unused_among(run.store, there, {run.name: record}) == []
    assert [faults_of(run.store, one, there) for one in inputs_of({run.name: record})] == [
        [] for _ in inputs_of({run.name: record})
    ]
    run.store.delete(record.recordings.prefix + record.recordings.parts[0].name)
    faults = [f for one in inputs_of({run.name: record}) for f in faults_of(run.store, one, {})]
    assert [fault.place for fault in faults] == [
        record.recordings.prefix + record.recordings.parts[0].name
    ]
    gone = {key: size for key, size in there.items() if key.startswith(("recordings", "encoded"))}
    assert len(unused_among(run.store, gone, {})) == 0, "its run is in the store"


def test_a_full_disk_or_store_is_a_sentence(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, inputs = DirectoryStore(tmp_path / "store"), checked(project)
    prefix = recordings_of(inputs).described.prefix
    (store.root / "recordings").mkdir(parents=True)
    (store.root / prefix.rstrip("/")).write_text("a file in the way")
    with pytest.raises(StoreDenied, match="cannot be used"):
        upload(store, inputs)


def test_pairs_are_what_they_were(project: Path) -> None:
    np.save(project / "recordings" / "a000.npy", np.ones((4, 5), np.int16))
    with pytest.raises(DataProblem, match="beside it"):
        checked(project)


# --- without the folder ---------------------------------------------------------------------------


def test_a_run_goes_on_without_the_folder_once_the_store_has_its_codes(
    project: Path, tmp_path: Path
) -> None:
    run = begin_run(project)
    record = read_run(run.store, run.name)
    assert record.recordings is not None
    shutil.rmtree(project / "recordings")
    folder = project / "recordings"
    with pytest.raises(FolderMissing, match=r"run mine has not encoded all of them yet"):
        kept_if_missing(run.store, run.name, folder)
    packed = pack_folder(write_speech(tmp_path / "codes", 9), tmp_path / "packed")
    whole = committed(run.store, record.recordings, packed.path.read_bytes())
    made = commit_encoded(run.store, record.recordings, whole).dataset
    kept = kept_if_missing(run.store, run.name, folder)
    assert kept is not None
    assert (kept.dataset, kept.recordings, len(kept.lengths)) == (made, record.recordings, 9)
    assert sum(frames for _, frames in kept.lengths.values()) == packed.frames
    config = RunConfig.model_validate(record.config)
    told: list[str] = []
    inputs = upload_inputs(run.store, check_inputs(config, kept=kept), told.append, record)
    assert any("goes on with its data set in the store" in sentence for sentence in told)
    refuse_other_inputs(record, inputs)
    run.store.put(made.key, b"x" * made.size_bytes)
    with pytest.raises(CheckpointCorrupt, match="its SHA-256 is not the one"):
        kept_if_missing(run.store, run.name, folder)


def test_a_run_on_codes_goes_on_without_their_folder(tmp_path: Path) -> None:
    run = start_run(tmp_path / "run")
    record = read_run(run.store, run.name)
    kept = kept_if_missing(run.store, run.name, tmp_path / "gone")
    assert kept is not None
    assert (kept.dataset, kept.recordings, len(kept.lengths)) == (record.dataset, None, 40)


def test_only_a_folder_that_is_gone_is_looked_for_in_the_store(tmp_path: Path) -> None:
    run = start_run(tmp_path / "run")
    (tmp_path / "file").write_bytes(b"")
    for there in ("file", "file/below"):
        assert kept_if_missing(run.store, run.name, tmp_path / there) is None
    with pytest.raises(FolderMissing, match="does not exist"):
        kept_if_missing(run.store, "another", tmp_path / "gone" / "below")
