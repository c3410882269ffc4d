"""The estimate of a run on recordings: a glance at headers, offline, and what a launch knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_line import invoke
from fintts_cli.commands.opening import open_workplace
from fintts_cli.estimate.run import encoding_before
from fintts_cli.estimate.run_inputs import RunInputs
from fintts_cli.launch.upload import check_inputs
from fintts_cli.settings.model import Settings
from fintts_cli.settings.read import read_settings
from fintts_cli.speech.originals import originals_in
from fintts_inputs.errors import DataProblem
from fintts_store.backends.directory import DirectoryStore
from recorded_project import write_recorded_project
from recordings import speech, text_of, write_recording


@pytest.fixture
def settings(own_folder: Path) -> Settings:
    write_recorded_project(own_folder)
    return read_settings({}).settings


def glance(settings: Settings, **given: Any) -> RunInputs:
    return RunInputs.of(open_workplace(), settings, **given)


def test_a_glance_counts_as_the_check_does_and_never_less(settings: Settings) -> None:
    seen = glance(settings)
    checked = glance(settings, checked=check_inputs(settings.run_config()))
    assert seen.from_recordings is not None
    assert checked.from_recordings is not None
    assert seen.workload.samples == checked.workload.samples
    assert seen.workload.held_out == checked.workload.held_out
    assert seen.workload.text_tokens == checked.workload.text_tokens
    ratio = seen.from_recordings.speech_seconds / checked.from_recordings.speech_seconds
    assert 1 <= ratio < 2.5, "silence at the ends is not cut yet"
    assert seen.unpaired == checked.unpaired == 0


def test_a_number_of_samples_has_no_recordings(settings: Settings) -> None:
    inputs = glance(settings, samples=2000)
    assert inputs.from_recordings is None
    assert inputs.fetched_codec_bytes == 0
    assert glance(settings).fetched_codec_bytes > 0


def test_nothing_that_can_be_read_is_an_error(settings: Settings, own_folder: Path) -> None:
    for path in (own_folder / "recordings").rglob("*.lab"):
        path.unlink()
    with pytest.raises(DataProblem, match="has no recording with a text"):
        _ = glance(settings).workload


def test_a_broken_file_does_not_stop_a_glance(settings: Settings, own_folder: Path) -> None:
    before = glance(settings).workload
    (own_folder / "recordings" / "a000.wav").write_bytes(b"RIFF")
    after = glance(settings).workload
    assert after.samples + after.held_out == before.samples + before.held_out - 1


def test_nothing_was_measured_yet(settings: Settings) -> None:
    assert encoding_before(settings, glance(settings)) is None


def test_the_command_tells_it(settings: Settings, own_folder: Path) -> None:
    told = json.loads(invoke(["estimate", "--json"]).stdout)
    seconds = told["encoding"]["seconds"]
    assert 0 < seconds["low"] < seconds["likely"] < seconds["high"]
    assert told["encoding_seconds"] == pytest.approx(seconds["likely"])
    assert "which the run encodes first" in " ".join(told["notes"])
    write_recording(own_folder / "recordings", "long.wav", speech(90, 20))
    assert (
        json.loads(invoke(["estimate", "--json"]).stdout)["encoding_seconds"]
        > 2 * told["encoding_seconds"]
    )


def test_texts_with_times_count_as_the_check_counts_them(
    settings: Settings, own_folder: Path
) -> None:
    without = glance(settings).workload.samples + glance(settings).workload.held_out
    folder = own_folder / "recordings"
    sounds = [speech(30 + number, 2.2) for number in range(3)]
    path = write_recording(folder, "talk.wav", np.concatenate(sounds), text=None)
    cues = [
        f"00:{2.8 * n + 0.3:06.3f} --> 00:{2.8 * n + 2.5:06.3f}\n{text_of(30 + n)}."
        for n in range(3)
    ]
    path.with_suffix(".srt").write_text("\n\n".join(cues))
    checked = check_inputs(settings.run_config())
    seen, known = glance(settings), glance(settings, checked=checked)
    assert seen.workload.samples == known.workload.samples
    assert seen.workload.samples + seen.workload.held_out == without + 3
    assert checked.recordings is not None
    utterances = checked.recordings.survey.utterances
    assert list(originals_in(folder)) == sorted(one.name for one in utterances)
    parts = checked.recordings.upload(
        DirectoryStore(own_folder / "store"), lambda _sentence: None
    ).parts
    assert len(parts) == len(checked.recordings.parts) > 0
