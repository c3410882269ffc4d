"""The trackers' own libraries record a run; no trouble of theirs delays or ends it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fintts_inputs.trackers import Tracker
from fintts_trainer.tracking.packages import HERE, pinned_version
from fintts_trainer.tracking.tracker import ProcessTracker, TrackedRun
from tracker_libraries import python_of, recorded

KEY = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both libraries write to this folder, and ask no server."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "offline")
    return tmp_path


def tracked(folder: Path) -> TrackedRun:
    return TrackedRun("kalevala-1", str(folder), {"lora": {"rank": 8}}, folder)


@pytest.mark.parametrize("kind", Tracker)
def test_the_library_has_every_row(kind: Tracker, offline: Path) -> None:
    said: list[str] = []
    tracker = ProcessTracker(kind, tracked(offline), said.append, python_of(kind))
    tracker.patience_seconds = 60.0
    tracker.start()
    for step in range(1, 4):
        tracker.log({"train/loss": 9.0 - step}, step)
    tracker.log({"val/loss": 5.5}, 3)
    tracker.finish()
    assert said == []
    name, config, rows = recorded(kind, offline)
    assert name == "kalevala-1"
    assert config["lora"] == {"rank": 8}
    losses = {step: values["train/loss"] for step, values in rows if "train/loss" in values}
    assert losses == {1: 8.0, 2: 7.0, 3: 6.0}
    assert [values["val/loss"] for _, values in rows if "val/loss" in values] == [5.5]


def test_a_run_goes_on_where_another_instance_left_it(offline: Path) -> None:
    kind = Tracker.TRACKIO
    for step in (1, 2):
        tracker = ProcessTracker(kind, tracked(offline / str(step)), print, python_of(kind))
        tracker.patience_seconds = 60.0
        tracker.start()
        tracker.log({"train/loss": 9.0}, step)
        tracker.finish()
    _, _, rows = recorded(kind, offline)
    assert [step for step, _ in rows] == [1, 2]


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The URL of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_rows_go_on_after_a_warning(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trackio keeps the rows until its server is there again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("TRACKIO_SERVER_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("TRACKIO_WRITE_TOKEN", KEY)
    warned = threading.Event()
    said: list[str] = []

    def log(sentence: str) -> None:
        said.append(sentence)
        if sentence.startswith("trackio warns: "):
            warned.set()

    kind = Tracker.TRACKIO
    tracker = ProcessTracker(kind, tracked(offline), log, python_of(kind))
    tracker.patience_seconds = 10.0
    tracker.start()
    assert warned.wait(60)
    for step in (1, 2):
        tracker.log({"train/loss": 9.0}, step)
    tracker.finish()
    _, _, rows = recorded(kind, offline)
    assert [step for step, _ in rows] == [1, 2]
    assert sum("warns" in sentence for sentence in said) == 1
    assert not any(KEY in sentence for sentence in said)


SERVER = {Tracker.WANDB: "WANDB_BASE_URL", Tracker.TRACKIO: "TRACKIO_SERVER_URL"}


@pytest.mark.parametrize("kind", Tracker)
def test_a_server_that_hangs_is_said_once_and_delays_nothing(
    kind: Tracker, tmp_path: Path, silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SERVER[kind], silent_server)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("TRACKIO_WRITE_TOKEN", KEY)
    monkeypatch.setenv("HOME", str(tmp_path))
    said: list[str] = []
    tracker = ProcessTracker(kind, tracked(tmp_path), said.append, python_of(kind))
    tracker.patience_seconds = 2.0
    begun = time.monotonic()
    tracker.start()
    for step in range(20_000):
        tracker.log({"train/loss": 1.0}, step)
    assert time.monotonic() - begun < 2.0
    tracker.finish()
    assert time.monotonic() - begun < 10.0
    assert len(said) == 1
    assert said[0].startswith(f"{kind} loses rows of this run, which trains on: it ")
    assert KEY not in said[0]


@pytest.mark.parametrize("kind", Tracker)
def test_a_wrong_setting_is_said_in_the_library_s_words(
    kind: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "short")
    monkeypatch.setenv("TRACKIO_SERVER_URL", "ftp://host")
    monkeypatch.setenv("HOME", str(tmp_path))
    said: list[str] = []
    tracker = ProcessTracker(kind, tracked(tmp_path), said.append, python_of(kind))
    tracker.patience_seconds = 60.0
    tracker.start()
    tracker.finish()
    [sentence] = said
    assert " it says: " in sentence
    assert ("server_url" if kind is Tracker.TRACKIO else "API key") in sentence


def test_the_key_to_the_store_does_not_reach_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "FINTTS_SECRET_NOTIFY"):
        monkeypatch.setenv(name, KEY)
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/environment\n")
    program.chmod(0o755)
    tracker = ProcessTracker(Tracker.WANDB, tracked(tmp_path), print, program)
    tracker.start()
    tracker.finish()
    text = (tmp_path / "environment").read_text()
    assert [line for line in text.splitlines() if KEY in line] == [f"WANDB_API_KEY={KEY}"]


def test_no_key_reaches_the_installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "TRACKIO_WRITE_TOKEN", "FINTTS_SECRET_NOTIFY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    program = tmp_path / "uv"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/environment\nexit 1\n")
    program.chmod(0o755)
    tracker = ProcessTracker(Tracker.TRACKIO, tracked(tmp_path), print)
    tracker.start()
    tracker.finish()
    text = (tmp_path / "environment").read_text()
    assert KEY not in text
    assert "UV_DEFAULT_INDEX=http://127.0.0.1:1/simple" in text.splitlines()


def test_a_library_that_cannot_be_installed_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for name in ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}/simple")
    for name in ("UV_CACHE_DIR", "PIP_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    for name in ("UV_HTTP_RETRIES", "PIP_RETRIES"):
        monkeypatch.setenv(name, "0")
    said: list[str] = []
    tracker = ProcessTracker(Tracker.TRACKIO, tracked(tmp_path), said.append)
    tracker.patience_seconds = 60.0
    tracker.start()
    tracker.log({"train/loss": 1.0}, 1)
    tracker.finish()
    assert [" it cannot be installed: " in sentence for sentence in said] == [True]
    assert not (tmp_path / "trackio" / "python").exists()


def test_the_locks_hold_the_pinned_versions_with_hashes() -> None:
    for kind in Tracker:
        pins = (HERE / f"{kind}.txt").read_text().replace("\\\n", " ").splitlines()
        pins = [line for line in pins if line and not line.startswith("#")]
        assert any(line.startswith(f"{kind}=={pinned_version(kind)} ") for line in pins)
        assert all("==" in line and " --hash=sha256:" in line for line in pins)


def test_a_library_that_cannot_be_started_is_said_in_a_sentence(tmp_path: Path) -> None:
    said: list[str] = []
    nowhere = tmp_path / "no-python"
    tracker = ProcessTracker(Tracker.WANDB, tracked(tmp_path), said.append, nowhere)
    tracker.start()
    tracker.finish()
    (sentence,) = said
    assert sentence.endswith("which trains on: it cannot be started: No such file or directory")
