"""The first stage of a run on recordings: the codes are those of `fintts data encode`, and what is
encoded is kept whatever ends the job."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checks import every
from fintts_inputs.codec.find import find_codec
from fintts_inputs.data.pack import read_pack
from fintts_inputs.data.packing import pack_folder
from fintts_inputs.recordings import parts
from fintts_inputs.recordings.files import list_recordings
from fintts_inputs.recordings.plan import EncodePlan
from fintts_inputs.recordings.survey import limits_of, survey
from fintts_store import layout
from fintts_store.encoded import find_encoded, stored_parts
from fintts_store.errors import StoreError
from fintts_store.runs.records import Phase, Result, StopReason
from fintts_store.runs.run_record import EncodedRecord, RecordingsRef
from fintts_store.runs.runs import (
    read_run,
    read_status,
    request_stop,
    withdraw_result,
    withdraw_stop,
)
from fintts_trainer.recordings import part
from fintts_trainer.recordings.encode import encode_plan
from fintts_trainer.session.exit_codes import PREEMPTED
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.train import train
from recorded_project import begin_run, write_recorded_project
from recordings import speech, text_of, write_recording
from tiny_run import TinyRun

pytestmark = pytest.mark.long

COUNT = 12


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_SECONDS", 2.0)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_recorded_project(tmp_path_factory.mktemp("recorded") / "project", COUNT)
    # Case twins, and one recording under two names.
    for name in ("A001.wav", "twin.wav"):
        write_recording(folder / "recordings", name, speech(70, 0.5), text=text_of(70))
    return folder


@pytest.fixture(scope="module")
def encoded_here(project: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """SHA-256 of the pack that `fintts data encode` and a launch with its folder make."""
    to = tmp_path_factory.mktemp("here")
    codec = find_codec(project / "base")
    found = list_recordings(project / "recordings")
    surveyed = survey(found, limits_of(codec.shape, None), lambda _done, _total: None)
    encode_plan(EncodePlan.of(surveyed, codec.path, to / "codes"), lambda _progress: None)
    return pack_folder(to / "codes", to).sha256


def started(project: Path, tmp_path: Path, name: str = "mine", **sections: object) -> TinyRun:
    """A run with a store of its own."""
    (tmp_path / "project").symlink_to(project)
    return begin_run(tmp_path / "project", name, **sections)


def recordings_of(run: TinyRun) -> RecordingsRef:
    found = read_run(run.store, run.name).recordings
    assert found is not None
    return found


def committed(run: TinyRun) -> EncodedRecord:
    found = find_encoded(run.store, recordings_of(run))
    assert found is not None
    return found


def trained(run: TinyRun) -> Result:
    result = train(run.job(), Preemption())
    assert result is not None
    return result


def test_the_codes_are_those_of_a_local_encode(
    project: Path, encoded_here: str, tmp_path: Path
) -> None:
    run = started(project, tmp_path)
    result = trained(run)
    assert result.stop_reason == StopReason.MAX_STEPS
    assert result.phase_seconds["encoding"] > 0
    data = committed(run).dataset
    assert data.sha256 == encoded_here
    pack = read_pack(run.store.root / data.key)
    assert {"Anna/hei 🎙", "a001", "A001", "twin"} <= set(pack.names)
    assert pack.text(pack.names.index("twin")) == text_of(70)

    again = begin_run(tmp_path / "project", "again")
    record = read_run(again.store, again.name)
    assert (record.dataset, record.codec) == (data, None)
    assert record.recordings is not None
    assert record.recordings.parts == ()
    for key in ("recordings/", "codecs/"):
        shutil.rmtree(run.store.root / key)
    second = train(again.job("another"), Preemption())
    assert second is not None
    assert second.phase_seconds["encoding"] == 0
    assert second.best_value == result.best_value


def test_a_corrected_text_costs_no_encoding(project: Path, tmp_path: Path) -> None:
    mine = tmp_path / "project"
    shutil.copytree(project, mine)
    trained(begin_run(mine, "one"))
    (mine / "recordings" / "a000.lab").write_text("aivan toinen teksti")
    run = begin_run(mine, "two")
    before = stored_parts(run.store, recordings_of(run).encoded)
    shutil.rmtree(run.store.root / "recordings")
    begin_run(mine, "three")  # uploads again what the texts need
    for sent in (run.store.root / recordings_of(run).prefix).glob("*.zip"):
        sent.unlink()
    trained(run)
    pack = read_pack(run.store.root / committed(run).dataset.key)
    assert pack.text(pack.names.index("a000")) == "aivan toinen teksti"
    assert stored_parts(run.store, recordings_of(run).encoded) == before


def ended_at_a_part(run: TinyRun, count: int, number: int) -> int:
    """Starts the trainer, and signals it once the store has so many parts."""
    child = subprocess.Popen(
        run.command("work"), env=run.environment(f"life-{count}"), stderr=subprocess.DEVNULL
    )
    limit = time.monotonic() + 120
    while len(stored_parts(run.store, recordings_of(run).encoded)) < count:
        assert child.poll() is None or child.returncode == 0
        if child.poll() is not None or time.monotonic() > limit:
            break
        time.sleep(0.002)
    if child.poll() is None:
        os.kill(child.pid, number)
    return child.wait(60)


def test_killed_jobs_go_on_after_the_last_part(
    project: Path, encoded_here: str, tmp_path: Path
) -> None:
    run = started(project, tmp_path)
    assert len(recordings_of(run).parts) >= 3
    seen: dict[str, int] = {}
    codes = [ended_at_a_part(run, count, signal.SIGKILL) for count in (1, 2, 3)]
    assert every(code == -signal.SIGKILL for code in codes)
    for path in (run.store.root / recordings_of(run).encoded).glob("*.zip"):
        seen[path.name] = path.stat().st_mtime_ns
    assert len(seen) >= 3
    trained(run)
    assert committed(run).dataset.sha256 == encoded_here
    now = {name: (run.store.root / recordings_of(run).encoded / name) for name in seen}
    assert {name: path.stat().st_mtime_ns for name, path in now.items()} == seen


def test_the_pace_is_of_what_the_run_encoded_itself(project: Path, tmp_path: Path) -> None:
    one = started(project, tmp_path)
    whole = trained(one).encoded
    assert whole is not None
    assert whole.speech_seconds == pytest.approx(recordings_of(one).seconds, rel=0.2)
    other = begin_run(tmp_path / "project", "other")
    record = read_run(other.store, other.name)
    unmade = record.model_copy(update={"dataset": None, "recordings": recordings_of(one)})
    key = layout.run_json_key(other.name)
    (other.store.root / key).write_text(
        unmade.model_copy(update={"codec": read_run(one.store, one.name).codec}).dump()
    )
    folder = one.store.root / recordings_of(one).encoded
    for path in (*folder.glob("*.json"), *sorted(folder.glob("*.zip"))[-1:]):
        path.unlink()
    rest = trained(TinyRun(other.store, other.name, tmp_path / "second")).encoded
    assert rest is not None
    assert 0 < rest.speech_seconds < whole.speech_seconds / 2


def test_a_preempted_job_leaves_with_its_exit_code(project: Path, tmp_path: Path) -> None:
    run = started(project, tmp_path)
    assert ended_at_a_part(run, 1, signal.SIGTERM) == PREEMPTED
    status = read_status(run.store, run.name)
    assert status is not None
    assert (status.phase, status.step) == (Phase.STOPPING, 0)
    assert len(stored_parts(run.store, recordings_of(run).encoded)) >= 1
    assert find_encoded(run.store, recordings_of(run)) is None
    # What this job has spent is billed, so the run's result tells it, too.
    first = status.encoded
    assert first is not None
    result = trained(run)
    whole = result.encoded
    assert whole is not None
    assert whole.seconds > first.seconds > 0
    assert whole.speech_seconds > first.speech_seconds > 0
    assert result.phase_seconds["encoding"] >= whole.seconds


def test_a_request_or_the_deadline_ends_it_with_a_sentence(project: Path, tmp_path: Path) -> None:
    run = started(project, tmp_path)
    request_stop(run.store, run.name, "enough")
    job = run.job()
    late = type(job)(job.store, job.run, job.workspace, datetime.now(UTC) + timedelta(seconds=0.5))
    result = train(late, Preemption())
    assert result is not None
    assert result.stop_reason in (StopReason.REQUESTED, StopReason.DEADLINE)
    assert result.step == 0
    assert (result.message or "").endswith("; launch the run again, and it goes on from there")
    assert result.phase_seconds["encoding"] > 0
    withdraw_stop(run.store, run.name)
    withdraw_result(run.store, run.name)
    assert trained(run).stop_reason == StopReason.MAX_STEPS


class OnThirdLook(Preemption):
    """Comes when the trainer looks for it the third time."""

    looks = 0

    @property
    def is_requested(self) -> bool:
        self.looks += 1
        return self.looks >= 3


@pytest.mark.parametrize(
    ("part_seconds", "said"),
    [
        (600.0, "no part of the recordings is encoded yet"),
        (0.1, "0.0 of 0.2 min of speech are encoded and kept"),
    ],
)
def test_only_complete_parts_are_said_to_be_kept(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    part_seconds: float,
    said: str,
) -> None:
    monkeypatch.setattr(parts, "PART_SECONDS", part_seconds)
    monkeypatch.setattr(part, "batches", lambda missing, _shape: [[one] for one in missing])
    run = started(project, tmp_path)
    assert train(run.job(), OnThirdLook()) is None
    assert f"preempted at step 0; {said}\n" in capfd.readouterr().err
    kept = stored_parts(run.store, recordings_of(run).encoded)
    assert len(kept) == (2 if part_seconds < 1 else 0)


def test_what_is_damaged_or_foreign_in_the_store_is_encoded_again(
    project: Path, encoded_here: str, tmp_path: Path
) -> None:
    run = started(project, tmp_path)
    folder = run.store.root / recordings_of(run).encoded
    folder.mkdir(parents=True)
    (folder / layout.part_name(0, "f" * 64)).write_bytes(b"not these bytes")
    (folder / layout.part_name(999, "f" * 64)).write_bytes(b"no such part")
    (folder / "torch.py").write_text("raise SystemExit")
    commit = run.store.root / layout.encoded_commit_key(
        recordings_of(run).encoded, recordings_of(run).texts.sha256
    )
    commit.write_text("{}")
    trained(run)
    assert committed(run).dataset.sha256 == encoded_here


def test_a_store_that_takes_no_data_set_ends_the_run_and_keeps_the_codes(
    project: Path, encoded_here: str, tmp_path: Path
) -> None:
    run = started(project, tmp_path)
    commit = run.store.root / layout.encoded_commit_key(
        recordings_of(run).encoded, recordings_of(run).texts.sha256
    )
    (commit / "in the way").mkdir(parents=True)
    with pytest.raises(StoreError):
        train(run.job(), Preemption())
    status = read_status(run.store, run.name)
    assert status is not None
    assert status.phase == Phase.FAILED
    kept = stored_parts(run.store, recordings_of(run).encoded)
    assert len(kept) == len(recordings_of(run).parts)
    shutil.rmtree(commit)
    for sent in (run.store.root / recordings_of(run).prefix).glob("*.zip"):
        sent.unlink()
    assert train(run.job("new"), Preemption()) is not None
    assert committed(run).dataset.sha256 == encoded_here
