"""Finds the checkpoint that a run resumes from, and makes sure if there is none.

Starting again at step 0 discards paid training, and the new checkpoints rotate the old ones away.
So "there is none" counts only after a second check, by different requests, has confirmed it.
"""

from collections.abc import Callable
from pathlib import Path

from fintts_store import layout
from fintts_store.checkpoints.listing import read_manifest
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.checkpoints.restore import restore_newest
from fintts_store.errors import (
    CheckpointCorrupt,
    InvalidKey,
    InvalidRecord,
    KeyNotFound,
    StoreError,
    StoreUnreachable,
)
from fintts_store.layout import CommitName
from fintts_store.network.retrying import insist
from fintts_store.runs.claims import refuse_lost_claim, refuse_taken_over
from fintts_store.store import Store

PATIENCE_SECONDS = 120.0
"""How long to wait for a disk to be mounted or a server to return; then the run ends"""
A_NEW_RUN = "to start again at step 0, use a new --name"


def restore_to_go_on(
    store: Store,
    run: str,
    claim: int,
    target: Path,
    on_skip: Callable[[CommitName, StoreError], None],
    *,
    committed_step: int | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
    on_bytes: Callable[[int], None] = lambda _size_bytes: None,
) -> Manifest | None:
    """Restores the newest complete checkpoint; None if there is none, and the run starts at 0.

    Args:
        claim: the claim that resumes the run.
        on_skip: called for each newer checkpoint that is damaged.
        committed_step: the last step that the previous claim reported as committed.
        patience_seconds: how long to retry a store that does not answer or contradicts itself.
        on_bytes: called with the number of bytes added.

    Raises:
        CheckpointCorrupt: there are checkpoints, but none can be restored.
        Fenced: a newer instance has taken the run over.
        NewerRecord: a newer version of this program wrote the newest checkpoint.
        StoreError: the store cannot be read, or contradicts itself.
    """

    def look() -> Manifest | None:
        damaged: list[CommitName] = []

        def skip(name: CommitName, error: StoreError) -> None:
            damaged.append(name)
            on_skip(name, error)

        manifest = restore_newest(store, run, target, skip, claim=claim, on_bytes=on_bytes)
        if manifest is None:
            _refuse_all_damaged(run, damaged)
            _look_again(store, run, claim, committed_step)
        return manifest

    return insist(look, patience_seconds)


def _refuse_all_damaged(run: str, damaged: list[CommitName]) -> None:
    if damaged:
        steps = ", ".join(str(name.step) for name in sorted(damaged))
        raise CheckpointCorrupt(
            f"run {run} has checkpoints, but none of them can be restored: step {steps}",
            f"`fintts store check` shows what is wrong; {A_NEW_RUN}",
        )


def _look_again(store: Store, run: str, claim: int, committed_step: int | None) -> None:
    """Returns if other requests confirm that there is no checkpoint.

    Raises:
        StoreError: they contradict it, or the run was taken over.
    """
    refuse_taken_over(store, run, claim)
    refuse_lost_claim(store, run, claim)
    for folder in store.folders(layout.checkpoints_prefix(run)):
        if _is_committed(store, run, folder, claim):
            raise StoreUnreachable(
                f"{store.url} lists no commit of run {run}, but has the checkpoint {folder}",
                "repair the store, then start the run again; `fintts store check` shows what is "
                "wrong",
            )
    if committed_step is not None:
        raise StoreUnreachable(
            f"run {run} had committed step {committed_step}, but {store.url} has no checkpoint "
            "of it",
            f"repair the store, then start the run again; if you deleted them, {A_NEW_RUN}",
        )


def _is_committed(store: Store, run: str, folder: str, claim: int) -> bool:
    try:
        name = layout.parse_commit_name(f"{folder}.json")
        return name.claim <= claim and read_manifest(store, run, name) is not None
    except (InvalidKey, KeyNotFound):  # not a name that fintts writes, or never committed
        return False
    except InvalidRecord:
        return True
