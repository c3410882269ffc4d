"""The main job from recordings: the first run encodes them, the next one pays for nothing again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from cli_project import Shell
from recorded_project import write_recorded_project

pytestmark = pytest.mark.end_to_end


def test_from_recordings_to_a_second_run(tmp_path: Path) -> None:
    shell = Shell(write_recorded_project(tmp_path / "project"))
    planned = shell("cloud", "launch", "--dry-run", "--json", "--name", "one")
    assert planned.returncode == 0, planned.stderr
    bill = json.loads(planned.stdout)["estimate"]
    assert bill["encoding_seconds"] > 0
    assert not (shell.project / "store" / "recordings").exists()

    first = shell("cloud", "launch", "--name", "one", "--yes")
    assert first.returncode == 0, first.stderr
    assert re.search(r"encodes \d\.\d s of speech first: about", first.stderr)
    assert re.search(r"uploading recordings, \d\.\d s of speech: 1 part of 1", first.stderr)
    assert "12 recordings are encoded" in shell("cloud", "logs", "one").stdout
    report = shell.document("cloud", "report", "one")
    assert report["phase_seconds"]["encoding"] > 0
    phase = report["phases"]["encoding"]
    assert phase["estimated_seconds"] == pytest.approx(bill["encoding_seconds"])
    assert phase["actual_usd"] > 0
    assert "encoding" in shell("cloud", "report", "one").stdout
    assert shell("cloud", "report", "one", "--html", "one.html").returncode == 0
    assert "in 12 recordings, encoded by the codec" in (shell.project / "one.html").read_text()

    # What only the first run needs is gone.
    for path in (shell.project / "store").glob("recordings/*/*"):
        path.unlink()
    again = shell("cloud", "launch", "--name", "two", "--yes")
    assert again.returncode == 0, again.stderr
    assert "an earlier run has encoded these recordings: its codes are used" in again.stderr
    assert "encodes" not in again.stderr
    assert " · encoding · " not in again.stderr
    assert list((shell.project / "store").glob("recordings/*/*")) == []
    second = shell.document("cloud", "report", "two")
    assert "encoding" not in second["phases"]
    assert second["best_value"] == report["best_value"]
    # A run whose data set is in the store needs no folder.
    shutil.rmtree(shell.project / "recordings")
    for name in ("one", "two"):
        more = ("--max-steps", "6", "--force", "--dry-run")
        longer = shell("cloud", "launch", "--name", name, *more)
        assert longer.returncode == 0, longer.stderr
        assert "and resumes from its newest checkpoint, at step 4" in longer.stderr
    new = shell("cloud", "launch", "--name", "three", "--dry-run")
    assert new.returncode == 2
    assert "the data folder" in new.stderr
    assert "resumes by --name" in new.stderr
    compared = shell.document("store", "check", "--read-data")
    assert [one for one in compared["faults"] if one["kind"] == "damaged"] == []
