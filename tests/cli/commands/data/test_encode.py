"""`fintts data encode`, as a user types it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cli_project import FINTTS, Shell
from fintts_inputs.codec.find import S1_FILE
from fintts_inputs.recordings.receipts import JOURNAL
from parity_fixtures import HERE
from recordings import speech, text_of, write_corpus, write_recording

FISH, CODEC, OTHER = (
    HERE / name for name in ("fish_s1_tiny", "codec_for_fish_s1_tiny", "codec_s1_tiny")
)
COUNT = 4


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A project with recordings and a base model that has its codec beside it."""
    project = tmp_path / "project"
    shutil.copytree(FISH, project / "base")
    shutil.copytree(CODEC, project / "base", dirs_exist_ok=True)
    write_corpus(project / "recordings", COUNT, seconds=0.6)
    (project / "fintts.yaml").write_text("data: recordings-codes\nbase_model: base\n")
    return Shell(project)


def test_what_has_no_problem_becomes_the_data_that_training_reads(shell: Shell) -> None:
    write_recording(shell.project / "recordings", "z.wav", speech(9), text=None)
    done = shell("data", "encode", "recordings", "--json")
    assert done.returncode == 1
    assert "the recordings have 1 problem; the others are encoded" in done.stderr
    found = json.loads(done.stdout)
    assert [one["file"] for one in found["problems"]] == ["z.wav"]
    assert (found["utterances"], found["encoded"]["new"]) == (COUNT, COUNT)
    assert found["to"] == "recordings-codes"
    checked = shell.document("data", "check")
    assert checked["utterances"] == COUNT
    assert checked["problems"] == []
    assert checked["frames"] == found["encoded"]["frames"]
    assert checked["frames_per_second"] == pytest.approx(44_100 / 2048)


def test_numbers_are_put_into_words_if_asked_and_each_is_listed(shell: Shell) -> None:
    (shell.project / "recordings" / "a001.lab").write_text("tammi 3 kertaa")
    checked = shell("data", "check", "recordings", "--spell-numbers", "fi")
    assert "put into words: 1\n  a001.lab: 3 → kolme" in checked.stdout
    assert "has the digits" not in checked.stdout
    assert shell("data", "encode", "recordings").returncode == 0
    codes = shell.project / "recordings-codes"
    assert (codes / "a001.lab").read_text() == "tammi 3 kertaa\n"
    done = shell("data", "encode", "recordings", "--spell-numbers", "fi", "--json")
    assert [one["sentence"] for one in json.loads(done.stdout)["spelled"]] == ["3 → kolme"]
    assert json.loads(done.stdout)["encoded"]["new"] == 0
    assert (codes / "a001.lab").read_text() == "tammi kolme kertaa\n"
    pairs = shell("data", "check", "--spell-numbers", "fi")
    assert pairs.returncode == 2
    assert "--spell-numbers is for recordings" in pairs.stderr


def test_what_is_impossible_is_said_before_anything_is_read(shell: Shell) -> None:
    project = shell.project
    (project / "base" / S1_FILE).rename(project / S1_FILE)
    missing = shell("data", "encode", "recordings")
    assert missing.returncode == 1
    assert "base has no codec.pth" in missing.stderr
    assert "hf download" in missing.stderr
    other = shell("data", "encode", "recordings", "--codec", str(OTHER))
    assert other.returncode == 1
    assert "has 10 codebooks, the base model 4" in other.stderr
    inside = shell("data", "encode", "recordings", "--to", "recordings/codes")
    assert inside.returncode == 2
    assert "is inside the folder of the recordings" in inside.stderr
    nowhere = shell("data", "encode", "elsewhere", "--base-model", "nothing")
    assert "elsewhere does not exist" in nowhere.stderr, "before the model, which is not there"
    assert "Traceback" not in missing.stderr + other.stderr + inside.stderr + nowhere.stderr
    assert not (project / "recordings-codes").exists()


def test_with_nothing_to_encode_json_is_a_document(shell: Shell) -> None:
    for path in (shell.project / "recordings").glob("*.lab"):
        path.unlink()
    done = shell("data", "encode", "recordings", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["utterances"], found["encoded"]) == (0, None)
    assert len(found["problems"]) == COUNT


def test_a_codec_suffices_where_the_model_is_not_downloaded(shell: Shell) -> None:
    (shell.project / "fintts.yaml").write_text("base_model: fishaudio/fish-speech-1.5\n")
    done = shell("data", "encode", "recordings", "--codec", str(CODEC), "--json")
    assert (done.returncode, json.loads(done.stdout)["encoded"]["new"]) == (0, COUNT), done.stderr
    without = shell("data", "encode", "recordings")
    assert without.returncode == 2
    assert "is not on this machine yet" in without.stderr


def test_ctrl_c_keeps_what_is_done(shell: Shell) -> None:
    for number in range(10, 40):
        write_recording(
            shell.project / "recordings", f"b{number}.wav", speech(number), text=text_of(number)
        )
    command = [FINTTS, "data", "encode", "recordings", "--to", "codes"]
    codes = shell.project / "codes"
    with subprocess.Popen(
        command, cwd=shell.project, env=shell.environment, stderr=subprocess.PIPE, text=True
    ) as running:
        while not receipts(codes) and running.poll() is None:
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate()
    assert running.returncode == 130
    assert "which are kept; the same command continues from there" in said
    assert "Traceback" not in said
    assert 0 < len(receipts(codes)) < COUNT + 30
    assert not (codes / "data.json").exists()


def receipts(codes: Path) -> list[str]:
    """The utterances that are done, before all of them are."""
    journal = codes / JOURNAL
    return journal.read_text().split()[1:] if journal.exists() else []


def test_recordings_are_checked_without_encoding_them(shell: Shell) -> None:
    project = shell.project
    write_recording(project / "recordings", "z.wav", speech(9), text=None)
    settings = "data: recordings\nbase_model: base\ngpus: A100-80GB:1\ntraining: {batch_size: 2}\n"
    (project / "fintts.yaml").write_text(settings)
    checked = shell("data", "check", "--json")
    assert checked.returncode == 1
    assert "the recordings have 1 problem" in checked.stderr
    found = json.loads(checked.stdout)
    assert [one["file"] for one in found["problems"]] == ["z.wav"]
    assert (found["utterances"], found["encoded"], found["to"]) == (COUNT, None, None)
    run = found["run"]
    assert run["train"] + run["held_out"] == COUNT
    assert run["steps_per_epoch"] == -(-run["train"] // 2)
    assert run["unknown"] is None
    assert 0 < run["cost_usd"]["low"] <= run["cost_usd"]["likely"] <= run["cost_usd"]["high"]
    shown = shell("data", "check").stdout
    assert "  0-1   s   #" in shown
    assert "the bill    3,000 steps on A100-80GB:1: $" in shown
    assert "another hour like these is about" in shown
    assert "budget" not in shown
    (project / "fintts.yaml").write_text(f"{settings}budget_usd: 0.01\n")
    assert "over your $0.01" in " ".join(shell("data", "check").stdout.split())
    refused = shell("data", "check", "--frames-per-second", "20")
    assert refused.returncode == 2
    assert "--frames-per-second is for pairs" in refused.stderr
    assert not (project / "recordings-codes").exists()
    (project / "base" / S1_FILE).unlink()
    assumed = shell("data", "check", "recordings", "--base-model", "nothing")
    assert "OpenAudio S1's, assumed" in assumed.stdout
    assert "the bill    not known yet: " in assumed.stdout
    write_recording(project / "few", "a.wav", speech(2))
    few = shell("data", "check", "few")
    assert few.returncode == 0
    assert "of 1 utterance none is held out for validation" in few.stderr


@pytest.mark.parametrize(("command", "extras"), [("encode", "trainer,audio"), ("check", "audio")])
def test_without_the_packages_that_read_sound_the_way_to_them_is_named(
    shell: Shell, command: str, extras: str, tmp_path: Path
) -> None:
    guard = "import sys; sys.modules.update(dict.fromkeys(('soundfile', 'soxr', 'pyloudnorm')))"
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(guard)
    refused = shell("data", command, "recordings", PYTHONPATH=str(tmp_path / "guard"))
    assert refused.returncode == 2
    assert "the packages for reading recordings are not installed" in refused.stderr
    assert f"pip install 'fintts[{extras}]'" in refused.stderr
