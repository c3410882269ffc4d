"""Recordings become codes: whole, once, and the same however often the work is interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import encode_lives
from checks import every
from fintts_inputs.codec.find import find_codec
from fintts_inputs.data.check import check_folder
from fintts_inputs.data.listing import RECEIPTS
from fintts_inputs.data.pairs import find_pairs
from fintts_inputs.errors import CodecProblem, DataProblem
from fintts_inputs.recordings.files import list_recordings
from fintts_inputs.recordings.plan import Encoded, EncodePlan, Progress
from fintts_inputs.recordings.receipts import JOURNAL, read_data_file
from fintts_inputs.recordings.sound import read_sound
from fintts_inputs.recordings.survey import limits_of, survey
from fintts_inputs.recordings.utterance import prepared
from fintts_store.errors import StoreError
from fintts_store.store import TEMPORARY_PREFIX
from fintts_trainer.codecs import open_codec
from fintts_trainer.codecs.s1.codec import S1Codec
from fintts_trainer.recordings.batches import batches
from fintts_trainer.recordings.encode import encode_plan
from parity_fixtures import HERE
from recordings import speech, text_of, write_corpus, write_recording
from small_disk import small_disk

CODEC, OTHER = HERE / "codec_for_fish_s1_tiny", HERE / "codec_s1_tiny"
COUNT = 5


def plan_of(source: Path, to: Path, codec: Path = CODEC) -> EncodePlan:
    file = find_codec(codec)
    limits = limits_of(file.shape, None)
    return EncodePlan.of(
        survey(list_recordings(source), limits, lambda _done, _total: None), file.path, to
    )


def encode(source: Path, to: Path, codec: Path = CODEC) -> Encoded:
    return encode_plan(plan_of(source, to, codec), lambda _progress: None)


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few recordings of different lengths, one of them in a folder of its own."""
    folder = tmp_path_factory.mktemp("recordings")
    write_corpus(folder, COUNT - 1, seconds=0.6)
    write_recording(folder, "Anna/hei.flac", speech(9, 0.9, 16_000), 16_000, text=text_of(9))
    return folder


@pytest.fixture(scope="module")
def undisturbed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("undisturbed") / "codes"
    assert encode(source, to).new == COUNT
    return to


def test_the_pairs_are_what_training_reads(source: Path, undisturbed: Path) -> None:
    report = check_folder(undisturbed)
    assert report.problems == ()
    assert len(report.utterances) == COUNT
    assert report.ignored == 0
    assert (undisturbed / "Anna/hei.lab").read_text() == text_of(9) + "\n"


def test_each_file_holds_the_codes_of_its_utterance_alone(source: Path, undisturbed: Path) -> None:
    plan = plan_of(source, undisturbed)
    codec = open_codec(find_codec(CODEC), torch.device("cpu"))
    for one in plan.utterances:
        wave = prepared(one.path, one.digest, one.begin, one.end, one.gain, 44_100)
        codes = np.load(undisturbed / f"{one.name}.npy")
        np.testing.assert_array_equal(codes, codec.encode([wave])[0])
    assert len(plan.utterances) == COUNT


def test_data_json_says_with_what_and_how_much(source: Path, undisturbed: Path) -> None:
    data = read_data_file(undisturbed)
    assert data is not None
    codes = {one.name: np.load(undisturbed / f"{one.name}.npy") for one in data.utterances}
    assert data.frames == sum(one.shape[1] for one in codes.values())
    assert data.hours == pytest.approx(data.frames * 2048 / 44_100 / 3600, abs=1e-6)
    assert data.speakers == {"": COUNT - 1, "Anna": 1}
    codec = open_codec(find_codec(CODEC), torch.device("cpu"))
    assert data.codec.digest == codec.digest
    assert data.codec.codebook_sizes == [64] * 4


def test_a_second_call_does_only_what_is_new(source: Path, tmp_path: Path) -> None:
    mine, to = tmp_path / "mine", tmp_path / "codes"
    shutil.copytree(source, mine)
    encode(mine, to)
    before = {path: path.stat().st_mtime_ns for path in to.rglob("*.npy")}
    again = encode(mine, to)
    assert (again.new, again.kept) == (0, COUNT)
    write_recording(mine, "new.wav", speech(20, 0.5), text=text_of(20))
    write_recording(mine, "a001.wav", speech(21, 0.5), text=text_of(1))
    (mine / "a002.lab").write_text("toinen teksti")
    third = encode(mine, to)
    assert (third.new, third.kept) == (2, COUNT - 1)
    assert (to / "a002.lab").read_text() == "toinen teksti\n"
    changed = {path.name for path, then in before.items() if path.stat().st_mtime_ns != then}
    assert changed == {"a001.npy"}


def test_codes_that_are_gone_or_damaged_are_made_again(
    source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    to = tmp_path / "codes"
    shutil.copytree(undisturbed, to)
    (to / "a000.npy").unlink()
    (to / "a001.npy").write_bytes(b"x")
    assert encode(source, to).new == 2
    assert content(to) == content(undisturbed)


def test_a_recording_that_went_is_named_and_its_codes_stay(
    source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    mine, to = tmp_path / "mine", tmp_path / "codes"
    shutil.copytree(source, mine)
    shutil.copytree(undisturbed, to)
    (mine / "a003.wav").unlink()
    (mine / "a003.lab").unlink()
    assert encode(mine, to).left_over == ["a003"]
    assert (to / "a003.npy").exists()
    data = read_data_file(to)
    assert data is not None
    assert "a003" not in {one.name for one in data.utterances}
    assert encode(mine, to).left_over == ["a003"], "as long as training would use it"


def test_the_old_codes_of_a_recording_that_failed_are_named(
    source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    mine, to = tmp_path / "mine", tmp_path / "codes"
    shutil.copytree(source, mine)
    shutil.copytree(undisturbed, to)
    write_recording(mine, "a000.wav", speech(30, 0.5), text=text_of(0))
    plan = plan_of(mine, to)
    write_recording(mine, "a000.wav", speech(31, 0.5), text=text_of(0))
    found = encode_plan(plan, lambda _progress: None)
    assert [file for file, _ in found.failed] == ["a000.wav"]
    assert found.left_over == ["a000"]
    assert "a000" in find_pairs(to)


def test_a_gpu_that_is_too_small_says_what_helps(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*_arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(S1Codec, "encode", run_out)
    with pytest.raises(CodecProblem, match="the GPU's memory is too small") as caught:
        encode(source, tmp_path / "codes")
    assert "CUDA_VISIBLE_DEVICES=" in caught.value.hint


def test_the_codes_of_another_codec_are_not_mixed_in(source: Path, undisturbed: Path) -> None:
    before = content(undisturbed)
    with pytest.raises(DataProblem, match="has codes of another codec"):
        encode(source, undisturbed, OTHER)
    assert content(undisturbed) == before


def test_a_journal_of_another_codec_is_not_mixed_in(source: Path, tmp_path: Path) -> None:
    to = tmp_path / "codes"
    to.mkdir()
    (to / JOURNAL).write_text(json.dumps({"codec_digest": "0" * 64}) + "\n")
    with pytest.raises(DataProblem, match="has codes of another codec"):
        encode(source, to)


class _Enough(Exception):
    """Ends the work as a signal would."""


@pytest.mark.parametrize("after", range(1, COUNT))
def test_an_interrupted_run_goes_on_to_the_same_bytes(
    source: Path, undisturbed: Path, tmp_path: Path, after: int
) -> None:
    done: list[Progress] = []

    def interrupt(progress: Progress) -> None:
        done.append(progress)
        if len(done) == after:
            raise _Enough

    to = tmp_path / "codes"
    with pytest.raises(_Enough):
        encode_plan(plan_of(source, to), interrupt)
    with (to / JOURNAL).open("ab") as file:
        file.write(b'{"name": "a0')  # as a process leaves it that is killed while it writes
    assert not (to / RECEIPTS).exists()
    rest = encode(source, to)
    assert (rest.kept, rest.new) == (after, COUNT - after)
    assert content(to) == content(undisturbed)


def test_a_killed_process_leaves_whole_files_alone(
    source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    to, path = tmp_path / "codes", tmp_path / "plan.json"
    path.write_text(plan_of(source, to).model_dump_json())
    command = [sys.executable, "-m", "fintts_trainer", "encode", "--plan", str(path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.communicate()
    left = {
        name: digest
        for name, digest in content(to).items()
        if name.endswith(".npy") and not Path(name).name.startswith(TEMPORARY_PREFIX)
    }
    assert left.items() <= content(undisturbed).items()
    (to / f"{TEMPORARY_PREFIX}unfinished").write_bytes(b"x")
    assert encode(source, to).kept >= 1
    assert content(to) == content(undisturbed)


@pytest.mark.long
def test_killed_again_and_again_it_writes_the_same_bytes(tmp_path: Path) -> None:
    """ENCODE_FILES=500 is the whole measurement, which needs a longer --timeout."""
    files = int(os.environ.get("ENCODE_FILES", "40"))
    kills = files // 4
    source, to, path = tmp_path / "recordings", tmp_path / "killed", tmp_path / "plan.json"
    for number in range(files):
        sound = speech(number, 0.3 + 0.01 * (number % 7), 16_000)
        write_recording(source, f"{number:03}.wav", sound, 16_000, text=text_of(number))
    encode(source, tmp_path / "undisturbed")
    path.write_text(plan_of(source, to).model_dump_json())
    lives = [sys.executable, "-P", encode_lives.__file__, str(path), str(kills)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(lives, capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) >= kills // 2
    assert content(to) == content(tmp_path / "undisturbed")


def test_a_full_disk_ends_it_and_what_is_done_stays(source: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "16k") as disk:
        with pytest.raises(StoreError, match="no space is left for"):
            encode(source, disk / "codes")
        left = [np.load(file) for file in disk.rglob("*.npy")]
        assert every(one.shape[0] == 4 for one in left)


def test_a_recording_that_changes_meanwhile_is_named(source: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(source, mine)
    plan = plan_of(mine, tmp_path / "codes")
    write_recording(mine, "a000.wav", speech(30, 0.5), text=None)
    found = encode_plan(plan, lambda _progress: None)
    assert [file for file, _ in found.failed] == ["a000.wav"]
    assert (found.new, found.kept) == (COUNT - 1, 0)


def test_batches_are_bounded_by_their_padded_seconds(source: Path, tmp_path: Path) -> None:
    shape = find_codec(CODEC).shape
    (first, *_) = plan_of(source, tmp_path).utterances
    lengths = [70.0, *([12.0] * 9), *([1.0] * 130)]
    many = [
        first.model_copy(update={"name": f"{n:04}", "seconds": s}) for n, s in enumerate(lengths)
    ]
    found = list(batches(many, shape, 60))
    assert sorted(one.name for batch in found for one in batch) == [one.name for one in many]
    padded = [len(batch) * max(one.seconds for one in batch) for batch in found]
    assert every(
        seconds <= 60 or len(batch) == 1 for seconds, batch in zip(padded, found, strict=True)
    )
    longest = [batch[0].seconds for batch in found]
    assert every(one >= other for one, other in pairwise(longest))
    assert len(found) <= 7


def test_the_survey_reads_what_is_encoded(source: Path) -> None:
    """The gain and the ends that the plan names are those of the samples that are read again."""
    one = plan_of(source, Path(os.devnull)).utterances[0]
    sound = read_sound(one.path, 10)
    assert sound.digest == one.digest
    assert one.seconds == pytest.approx((one.end - one.begin) / sound.rate)


def test_a_recording_cut_by_times_is_encoded_once(tmp_path: Path) -> None:
    sounds = [speech(number, 0.6) for number in range(3)]
    path = write_recording(tmp_path / "from", "talk.wav", np.concatenate(sounds), text=None)
    subtitles, each = path.with_suffix(".vtt"), len(sounds[0]) / 44_100
    cues = [
        f"00:{n * each + 0.25:06.3f} --> 00:{n * each + 0.95:06.3f}\n{text_of(n)}."
        for n in range(3)
    ]
    subtitles.write_text("WEBVTT\n\n" + cues[0])
    assert encode(path.parent, tmp_path / "to").new == 1
    subtitles.write_text("WEBVTT\n\n" + "\n\n".join(cues[::2]))
    again = encode(path.parent, tmp_path / "to")
    assert (again.new, again.kept, again.failed) == (1, 1, [])
    before = content(tmp_path / "to")
    again = encode(path.parent, tmp_path / "to")
    assert (again.new, again.kept) == (0, 2)
    assert content(tmp_path / "to") == before
    names = {name.removesuffix(".lab") for name in before if name.endswith(".lab")}
    assert {"talk-000000250", f"talk-{round(1000 * (2 * each + 0.25)):09}"} <= names
    lab = (tmp_path / "to" / "talk-000000250.lab").read_text()
    assert lab.strip() == f"{text_of(0)}."
