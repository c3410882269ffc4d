"""A small project as a user has it, and the command line that works in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from fintts_store.checkpoints.listing import list_commits
from fintts_store.store import Store
from tiny_run import TINY, write_speech

FINTTS = str(Path(sys.executable).parent / "fintts")

SETTINGS = """\
data: speech
base_model: {base_model}
lora: {{rank: 2}}
training: {{max_steps: 400, batch_size: 4, learning_rate: 0.02}}
validation: {{every: 3}}
early_stopping: {{patience: {patience}}}
checkpoints: {{every: 3, keep_last: 2}}
infra: local
store: store
hourly_rate_usd: 1.20
forecast: {{seconds_per_step: 0.2, setup_seconds: 10, teardown_seconds: 1}}
"""


def write_project(folder: Path, patience: int = 2) -> Path:
    """Forty utterances, the tiny base model, and a fintts.yaml; returns the folder.

    With a patience of 2 a run stops early within some twenty steps.
    """
    folder.mkdir(exist_ok=True)
    write_speech(folder / "speech")
    text = SETTINGS.format(base_model=TINY, patience=patience)
    (folder / "fintts.yaml").write_text(text)
    return folder


class Shell:
    """Runs `fintts` in a project, with a state directory of its own."""

    def __init__(self, project: Path, **variables: str) -> None:
        self.project, self.variables = project, variables
        self.state = project.parent / "state"

    @property
    def environment(self) -> dict[str, str]:
        """The user's, without what would change the settings."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FINTTS_")}
        return kept | {
            "FINTTS_STATE_DIR": str(self.state),
            "XDG_CONFIG_HOME": str(self.project.parent / "config"),
            "OMP_NUM_THREADS": "1",
            **self.variables,
        }

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs to the end, without a terminal."""
        return subprocess.run(
            [FINTTS, *arguments],
            cwd=self.project,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def document(self, *arguments: str) -> Any:
        """What a command prints with --json."""
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Goes on beside the test; stderr is a pipe."""
        return subprocess.Popen(
            [FINTTS, *arguments],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def wait_for_line(process: subprocess.Popen[str], text: str) -> str:
    """Reads stderr until a line holds the text; returns all that was read."""
    assert process.stderr is not None
    read: list[str] = []
    for line in process.stderr:
        read.append(line)
        if text in line:
            return "".join(read)
    raise AssertionError(f"no line with {text!r} in: {''.join(read)}")


def wait_for_commit(store: Store, run: str, limit_seconds: float = 300.0) -> None:
    """Waits until a first checkpoint is committed: from then on the run can go on from it."""
    deadline = time.monotonic() + limit_seconds
    while not list_commits(store, run):
        assert time.monotonic() < deadline, f"run {run} has committed nothing"
        time.sleep(0.1)
