"""What a run advises at its end is there to be had."""

from __future__ import annotations

from pathlib import Path

from fintts_cli.commands.afterwards import what_next
from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore


def test_a_run_that_saved_nothing_does_not_advise_to_download_it(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    assert what_next(store, "mine") == "it saved no checkpoint; next: `fintts cloud report mine`"
    name = layout.CommitName(1, 100, "0" * 8)
    store.create(layout.commit_key("mine", name), b"{}")
    assert what_next(store, "mine") == (
        "next: `fintts cloud pull-checkpoints mine`, `fintts cloud report mine`"
    )
