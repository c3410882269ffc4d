"""What this process is asked to do, and how its data and base model come from the store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_store.checkpoints.going_on import PATIENCE_SECONDS
from fintts_store.disk.durable import make_directories
from fintts_store.disk.lock import alone_in
from fintts_store.fetch import fetch
from fintts_store.opening import open_store
from fintts_trainer.errors import NoRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fintts_store.runs.records import FileRef, RunRecord
    from fintts_store.store import Store

CLAIM_FILE, TROUBLE_FILE = "claim", "trouble"


@dataclass(frozen=True)
class Job:
    """One process's share of a run: many jobs may follow each other after preemptions."""

    store: Store
    run: str
    workspace: Path
    deadline_at: datetime | None
    """None: as run.json says"""
    on_spot: bool = False
    """whether this instance may be taken away; run.json knows it of the first launch alone"""
    patience_seconds: float = PATIENCE_SECONDS
    """how long the store is asked again, before the first step, for what the run goes on from"""
    launch: int | None = None
    """the number of the launch that this instance belongs to; None where there was none"""
    asked_at: datetime | None = None
    """when this rented instance was asked for, by a clock that was the store's; None on the
    machine whose own clock the deadline goes by"""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Job:
        """From FINTTS_STORE, _RUN, _WORKSPACE, _DEADLINE_AT, _ASKED_AT, _ON_SPOT and
        _LAUNCH.

        Raises:
            NoRun: the environment does not say which run.
        """
        missing = [key for key in ("FINTTS_STORE", "FINTTS_RUN") if not environment.get(key)]
        if missing:
            raise NoRun(
                f"{' and '.join(missing)} must be set in the environment",
                "start runs with `fintts cloud launch` or `fintts train`",
            )
        return cls(
            store=open_store(environment["FINTTS_STORE"]),
            run=environment["FINTTS_RUN"],
            workspace=Path(environment.get("FINTTS_WORKSPACE", "workspace")).absolute(),
            deadline_at=_moment(environment.get("FINTTS_DEADLINE_AT")),
            on_spot=bool(environment.get("FINTTS_ON_SPOT")),
            launch=_number(environment.get("FINTTS_LAUNCH", "")),
            asked_at=_moment(environment.get("FINTTS_ASKED_AT")),
        )

    def remember_claim(self, claim: int) -> None:
        """Leaves the claim where `conclude` finds it when this process is gone."""
        (self.workspace / CLAIM_FILE).write_text(str(claim), encoding="utf-8")

    def remembered_claim(self) -> int | None:
        """The claim that a trainer in this workspace took."""
        path = self.workspace / CLAIM_FILE
        return int(path.read_text(encoding="utf-8")) if path.exists() else None

    def remember_trouble(self, sentence: str) -> None:
        """Leaves for `conclude` what the trainer could not say itself."""
        make_directories(self.workspace)
        (self.workspace / TROUBLE_FILE).write_text(sentence, encoding="utf-8", errors="replace")

    def remembered_trouble(self) -> str | None:
        """What kept the trainer in this workspace from saying why it ended."""
        path = self.workspace / TROUBLE_FILE
        return path.read_text(encoding="utf-8") if path.exists() else None

    def forget_trouble(self) -> None:
        """What an earlier start in this workspace left is of no concern to this one."""
        (self.workspace / TROUBLE_FILE).unlink(missing_ok=True)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def fetch_dataset(job: Job, record: RunRecord, on_bytes: Callable[[int], None]) -> Path:
    """Brings the packed data set here, verified.

    Raises:
        StoreError: it cannot be read, or its SHA-256 is not the one that the run was given.
    """
    data = record.dataset
    target = job.workspace / Path(data.key).name
    fetch(job.store, data.key, target, data.sha256, data.size_bytes, on_bytes)
    return target


def fetch_initial_adapter(job: Job, record: RunRecord, on_bytes: Callable[[int], None]) -> Path:
    """Brings the adapter that the run begins with here, verified; returns its folder."""
    folder, adapter = job.workspace / "initial_adapter", record.initial_adapter
    if adapter is not None:
        _fetch_files(job.store, adapter.prefix, adapter.files, folder, on_bytes)
    return folder


def fetch_base_model(job: Job, record: RunRecord, on_bytes: Callable[[int], None]) -> Path:
    """Brings the base model's files here, each verified; returns their folder."""
    folder, base = job.workspace / "base_model", record.base_model
    _fetch_files(job.store, base.prefix, base.files, folder, on_bytes)
    return folder


def _fetch_files(
    store: Store,
    prefix: str,
    files: Iterable[FileRef],
    folder: Path,
    on_bytes: Callable[[int], None],
) -> None:
    with alone_in(folder):  # of several processes on one instance the first one fetches
        for file in files:
            target = folder / file.name
            fetch(store, prefix + file.name, target, file.sha256, file.size_bytes, on_bytes)
