"""Each test of the terminal's side runs in its own folder, without the user's own settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty; state and user configuration lie beside it, SkyPilot's too."""
    for name in list(os.environ):
        if name.startswith("FINTTS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("SKY_RUNTIME_DIR", str(tmp_path / "sky"))  # where no cloud is enabled
    monkeypatch.setenv("COLUMNS", "100")
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
