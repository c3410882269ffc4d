"""Finds the run that the user named, and its store."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from fintts_cli.commands.opening import load_settings
from fintts_cli.errors import UsageProblem
from fintts_store.runs.runs import list_runs, newest_run

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_cli.terminal.terminal import Terminal
    from fintts_cli.workplace.workplace import Workplace
    from fintts_store.network.patience import Patience
    from fintts_store.store import Store


def find_runs(
    terminal: Terminal,
    here: Workplace,
    run: str | None,
    config: Path | None,
    patience: Patience | None = None,
    **options: str | None,
) -> Store:
    """The store in which a command looks for a run; `run` is what the user typed."""
    return here.store_of(load_settings(terminal, options, config), run, patience)


def pick_run(store: Store, run: str | None) -> str:
    """The run that the user named, or the newest.

    Raises:
        UsageProblem: the store has no such run, or no runs.
    """
    if run is None:
        newest = newest_run(store)
        if newest is None:
            raise UsageProblem(f"{store.url} has no runs", "`fintts cloud launch` starts one")
        return newest
    runs = list_runs(store)
    if run not in runs:
        meant = difflib.get_close_matches(run, runs, n=1)
        hint = f"did you mean {meant[0]}?" if meant else "`fintts cloud ps` lists all runs"
        raise UsageProblem(f"there is no run {run} in {store.url}", hint)
    return run
