"""The task of this process, and the fetching of its data and base model from the store."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_inputs.notify.urls import urls_in
from fintts_inputs.trackers import keys_of, trackers_in
from fintts_store.checkpoints.going_on import PATIENCE_SECONDS
from fintts_store.disk.durable import make_directories
from fintts_store.disk.lock import alone_in
from fintts_store.network.fetch import fetch
from fintts_store.opening import open_store
from fintts_trainer.errors import NoRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fintts_inputs.config import EvalKind
    from fintts_inputs.trackers import Tracker
    from fintts_store.runs.run_record import FileRef, RecordingsRef, RunRecord
    from fintts_store.store import Store

CLAIM_FILE, TROUBLE_FILE = "claim", "trouble"


@dataclass(frozen=True)
class Job:
    """One process's share of a run: many jobs may follow each other after preemptions."""

    store: Store
    run: str
    workspace: Path
    deadline_at: datetime | None
    """None: the one in run.json"""
    on_spot: bool = False
    """whether this instance may be taken away; run.json has this only for the first launch"""
    patience_seconds: float = PATIENCE_SECONDS
    """how long to retry the store, before the first step, for the checkpoint to resume from"""
    launch: int | None = None
    """the number of this instance's launch; None without a launch"""
    asked_at: datetime | None = None
    """when this rented instance was asked for, by a clock that was the store's; None on the
    machine whose own clock the deadline goes by"""
    notify: tuple[str, ...] = field(default=(), repr=False)
    """the URLs that get notifications, each a secret"""
    trackers: tuple[Tracker, ...] = ()
    """the experiment trackers that the run reports to, beside TensorBoard"""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Job:
        """From FINTTS_STORE, _RUN, _WORKSPACE, _DEADLINE_AT, _ASKED_AT, _ON_SPOT, _LAUNCH,
        _TRACKERS and _SECRET_NOTIFY.

        Raises:
            NoRun: the environment does not name the run.
        """
        missing = [key for key in ("FINTTS_STORE", "FINTTS_RUN") if not environment.get(key)]
        if missing:
            raise NoRun(
                f"{' and '.join(missing)} must be set in the environment",
                "start runs with `fintts cloud launch` or `fintts train`",
            )
        trackers = trackers_in(environment)
        keys_of(trackers, environment)  # keeps them out of the log
        return cls(
            store=open_store(environment["FINTTS_STORE"]),
            run=environment["FINTTS_RUN"],
            workspace=Path(environment.get("FINTTS_WORKSPACE", "workspace")).absolute(),
            deadline_at=_moment(environment.get("FINTTS_DEADLINE_AT")),
            on_spot=bool(environment.get("FINTTS_ON_SPOT")),
            launch=_number(environment.get("FINTTS_LAUNCH", "")),
            asked_at=_moment(environment.get("FINTTS_ASKED_AT")),
            notify=urls_in(environment),
            trackers=trackers,
        )

    def remember_claim(self, claim: int) -> None:
        """Saves the claim for `conclude`, which runs after this process."""
        (self.workspace / CLAIM_FILE).write_text(str(claim), encoding="utf-8")

    def remembered_claim(self) -> int | None:
        """The claim that a trainer in this workspace took."""
        path = self.workspace / CLAIM_FILE
        return int(path.read_text(encoding="utf-8")) if path.exists() else None

    def remember_trouble(self, sentence: str) -> None:
        """Saves for `conclude` what the trainer could not report itself."""
        make_directories(self.workspace)
        (self.workspace / TROUBLE_FILE).write_text(sentence, encoding="utf-8", errors="replace")

    def remembered_trouble(self) -> str | None:
        """Why the trainer in this workspace could not report its end."""
        path = self.workspace / TROUBLE_FILE
        return path.read_text(encoding="utf-8") if path.exists() else None

    def forget_trouble(self) -> None:
        """Removes what an earlier start in this workspace saved."""
        (self.workspace / TROUBLE_FILE).unlink(missing_ok=True)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def fetch_dataset(job: Job, record: RunRecord, on_bytes: Callable[[int], None]) -> Path:
    """Fetches and verifies the packed data set.

    Raises:
        StoreError: it cannot be read, or its SHA-256 is not the one that the run was given.
    """
    data = record.packed
    target = job.workspace / Path(data.key).name
    fetch(job.store, data.key, target, data.sha256, data.size_bytes, on_bytes)
    return target


def fetch_texts(
    job: Job, recordings: RecordingsRef, folder: Path, on_bytes: Callable[[int], None]
) -> Path:
    """Fetches and verifies names and texts of recordings."""
    texts = recordings.texts
    _fetch_files(job.store, recordings.prefix, (texts,), folder, on_bytes)
    return folder / texts.name


def fetch_initial_adapter(job: Job, record: RunRecord, on_bytes: Callable[[int], None]) -> Path:
    """Fetches and verifies the adapter that the run starts from; returns its folder."""
    folder, adapter = job.workspace / "initial_adapter", record.initial_adapter
    if adapter is not None:
        _fetch_files(job.store, adapter.prefix, adapter.files, folder, on_bytes)
    return folder


def fetch_base_model(job: Job, record: RunRecord, on_bytes: Callable[[int], None]) -> Path:
    """Fetches and verifies the base model's files; returns their folder."""
    folder, base = job.workspace / "base_model", record.base_model
    _fetch_files(job.store, base.prefix, base.files, folder, on_bytes)
    return folder


def fetch_codec(job: Job, record: RunRecord, on_bytes: Callable[[int], None]) -> Path:
    """Fetches and verifies the codec's files; returns their folder, which is the base model's if
    the codec lies in its weights."""
    if record.codec is None:
        return job.workspace / "base_model"
    folder = job.workspace / "codec"
    _fetch_files(job.store, record.codec.prefix, record.codec.files, folder, on_bytes)
    return folder


def fetch_eval_model(
    job: Job, record: RunRecord, kind: EvalKind, on_bytes: Callable[[int], None]
) -> Path | None:
    """Fetches and verifies a model that measures samples; returns its folder, or None if the run
    has none of this kind."""
    model = record.eval_models.get(kind)
    if model is None:
        return None
    folder = job.workspace / "eval_models" / kind
    _fetch_files(job.store, model.prefix, model.files, folder, on_bytes)
    return folder


def _fetch_files(
    store: Store,
    prefix: str,
    files: Iterable[FileRef],
    folder: Path,
    on_bytes: Callable[[int], None],
) -> None:
    with alone_in(folder):  # the first process of an instance fetches for the others
        for file in files:
            target = folder / file.name
            fetch(store, prefix + file.name, target, file.sha256, file.size_bytes, on_bytes)
