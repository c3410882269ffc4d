"""Names become things: settings, the store, where a task runs, and the run that is meant."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fintts_cli.settings import ReadSettings, Settings
    from fintts_cli.terminal import Terminal
    from fintts_store.store import Store


def state_directory() -> Path:
    """What this machine remembers: FINTTS_STATE_DIR, else the user's own folder for such things."""
    named = os.environ.get("FINTTS_STATE_DIR")
    if named:
        return Path(named).expanduser().absolute()
    from platformdirs import user_state_path

    return user_state_path("fintts")


def read_sources(
    terminal: Terminal, options: Mapping[str, object], config: Path | None
) -> ReadSettings:
    """The settings with their origins; what looks like a misspelt variable is warned about."""
    from fintts_cli.settings import read_settings

    found = read_settings(options, config=config)
    for sentence in found.warnings:
        terminal.warn(sentence)
    return found


def load_settings(
    terminal: Terminal, options: Mapping[str, object], config: Path | None
) -> Settings:
    """The settings of a command that need not know where they come from."""
    return read_sources(terminal, options, config).settings


def store_url(settings: Settings) -> str:
    """The store that is set, else a folder beside what this machine remembers."""
    return settings.store or str(state_directory() / "store")


def open_runs(settings: Settings) -> Store:
    """The store that holds the runs."""
    from fintts_store.opening import open_store

    return open_store(store_url(settings))


def pick_run(store: Store, run: str | None) -> str:
    """The run that was named, or the newest.

    Raises:
        UsageProblem: the store has no such run, or none at all.
    """
    from fintts_cli.errors import UsageProblem
    from fintts_store.runs import list_runs, newest_run

    if run is None:
        newest = newest_run(store)
        if newest is None:
            raise UsageProblem(f"{store.url} holds no runs", "`fintts cloud launch` starts one")
        return newest
    runs = list_runs(store)
    if run not in runs:
        meant = difflib.get_close_matches(run, runs, n=1)
        hint = f"did you mean {meant[0]}?" if meant else "`fintts cloud ps` lists all runs"
        raise UsageProblem(f"there is no run {run} in {store.url}", hint)
    return run
