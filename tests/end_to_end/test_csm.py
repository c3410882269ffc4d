"""CSM, from a folder of transformers' to an adapter at home, by the same commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks import every
from cli_project import Shell, write_project
from tiny_csm import write_tiny_csm
from tiny_run import TINY

pytestmark = pytest.mark.end_to_end


def test_csm_goes_the_whole_way(tmp_path: Path) -> None:
    shell = Shell(write_project(tmp_path / "project"))
    write_tiny_csm(shell.project / "csm", tied=True)
    settings = shell.project / "fintts.yaml"
    settings.write_text(settings.read_text().replace(str(TINY), "csm"))

    assert shell.document("data", "check", "speech")["utterances"] == 40
    launched = shell("cloud", "launch", "--name", "mine", "--yes")
    assert launched.returncode == 0, launched.stderr
    assert "done (stopped early)" in launched.stderr
    pulled = shell.document("cloud", "pull-checkpoints", "mine")
    assert every(checkpoint["verified"] for checkpoint in pulled["checkpoints"])

    trained = shell("train", "--name", "here", FINTTS_TRAINING__MAX_STEPS="3")
    assert trained.returncode == 0, trained.stderr
    assert "[transformers]" not in trained.stderr, "nobody can act on what it warns of"

    assert shell("export", "mine", "--format", "peft", "--to", "out").returncode == 0
    assert (shell.project / "out" / "adapter_model.safetensors").is_file()
    refused = shell("export", "mine", "--format", "fish", "--to", "merged")
    assert refused.returncode == 1
    assert "csm belongs to the family csm, which cannot be written in Fish" in refused.stderr
    assert "fetching" not in refused.stderr, "before gigabytes are fetched"
    assert not (shell.project / "merged").exists()

    (shell.project / "csm" / "model.safetensors").write_bytes(b"")
    cut = shell("cloud", "launch", "--name", "next", "--dry-run")
    assert cut.returncode == 1
    assert "is not a complete safetensors file" in cut.stderr
