"""The commit protocol: upload, verify, check the claim, then write the manifest. The checkpoint is
committed when the manifest is in the store, and not before."""

import hashlib
import stat
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from fintts_store import layout
from fintts_store.checkpoints.listing import ManifestCache, commits_among, list_manifests
from fintts_store.checkpoints.manifest import (
    Manifest,
    ManifestFile,
    largest_first,
    load_commit,
)
from fintts_store.checkpoints.removal import pins_among, remove_checkpoint
from fintts_store.checkpoints.retention import plan_retention
from fintts_store.disk.digest import sha256_of
from fintts_store.disk.errors import explained
from fintts_store.errors import (
    CheckpointCorrupt,
    Fenced,
    KeyExists,
    StoreError,
    StoreUnreachable,
)
from fintts_store.file_names import CHECKPOINT, odd_in_checkpoint
from fintts_store.layout import CommitName
from fintts_store.network.parallel import in_parallel
from fintts_store.runs.claims import highest_claim, refuse_taken_over
from fintts_store.store import Store

ID_DIGITS = 8


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """The fields of a manifest other than its files."""

    step: int
    config_digest: str
    base_model_digest: str
    monitor: str
    mode: Literal["min", "max"]
    value: float | None
    """of the monitor at this step; None without a validation check"""


class Committer:
    """Commits checkpoints of one run under one claim, and rotates older ones away."""

    def __init__(
        self, store: Store, run: str, claim: int, *, keep_last: int, keep_best: bool
    ) -> None:
        self._store, self._run, self._claim = store, run, claim
        self._keep_last, self._keep_best = keep_last, keep_best
        self._known: ManifestCache = {}
        self.resume_point: str | None = None
        """id of the checkpoint that this claim resumed from; it is never rotated away"""

    def commit(self, directory: Path, facts: CheckpointFacts) -> Manifest:
        """Uploads a finished folder and commits it. It is safe to call again after an error.

        Raises:
            Fenced: a newer claim has taken the run over; the folder stays.
            StoreError: nothing was committed, or that is unknown; call again.
        """
        files = _describe(directory)
        name = CommitName(self._claim, facts.step, _id_of(files))
        prefix = layout.checkpoint_prefix(self._run, name)
        in_parallel(
            lambda file, _stop: self._store.put(prefix + file.name, directory / file.name),
            largest_first(files),
        )
        self._verify(prefix, files)
        refuse_taken_over(self._store, self._run, self._claim)
        manifest = Manifest(
            run=self._run,
            claim=self._claim,
            step=facts.step,
            id=name.id,
            created_at=datetime.now(UTC),
            config_digest=facts.config_digest,
            base_model_digest=facts.base_model_digest,
            monitor=facts.monitor,
            mode=facts.mode,
            value=facts.value,
            files=files,
        )
        return self._put_manifest(manifest)

    def rotate(self) -> list[Manifest]:
        """Removes the checkpoints that retention does not keep and that are not pinned.

        Leaves an unreadable manifest and its files alone, and reports it at the end. Removes
        nothing once a newer claim is taken: only that claim knows what it resumes from. Ignores a
        commit whose claim was never taken. Keeps pinned checkpoints.

        Raises:
            StoreError: something could not be read or removed; kept checkpoints are untouched.
        """
        unreadable: list[StoreError] = []
        if highest_claim(self._store, self._run) != self._claim:
            return []
        keys = [entry.key for entry in self._store.list(layout.commits_prefix(self._run))]
        names = [name for name in commits_among(self._run, keys) if name.claim <= self._claim]
        plan = plan_retention(
            list_manifests(
                self._store,
                self._run,
                on_unreadable=lambda _, error: unreadable.append(error),
                known=self._known,
                names=names,
            ),
            keep_last=self._keep_last,
            keep_best=self._keep_best,
            resume_point=self.resume_point,
            pinned=pins_among(self._run, keys),
        )
        removed = [manifest for manifest in plan.remove if remove_checkpoint(self._store, manifest)]
        if unreadable:
            raise unreadable[0]
        return removed

    def _verify(self, prefix: str, files: tuple[ManifestFile, ...]) -> None:
        found = {entry.key: entry.size_bytes for entry in self._store.list(prefix)}
        wrong = [f.name for f in files if found.get(prefix + f.name) != f.size_bytes]
        if wrong:
            raise StoreUnreachable(
                f"{', '.join(wrong)} did not arrive completely in {self._store.url}",
                "fintts uploads it again",
            )

    def _put_manifest(self, manifest: Manifest) -> Manifest:
        key = layout.commit_key(self._run, manifest.name)
        try:
            self._store.create(key, manifest.dump().encode())
        except KeyExists:
            landed = load_commit(self._store.get(key), key)
            # Our own earlier attempt, whose answer was lost: only the time can differ.
            if landed is not None and landed.files == manifest.files:
                return landed
            raise Fenced(
                f"step {manifest.step} of run {self._run} was closed by a newer instance",
                "the newer instance continues; this one's last checkpoint stays on its disk",
            ) from None
        return manifest


def _describe(directory: Path) -> tuple[ManifestFile, ...]:
    """The files of a checkpoint's folder. Raises CheckpointCorrupt for anything but files."""
    try:
        with explained(directory):
            return _describe_all(directory, sorted(directory.iterdir()))
    except FileNotFoundError as error:
        raise CheckpointCorrupt(
            f"the checkpoint in {directory} is gone: {error.filename}",
            "find out what else removes files there",
        ) from error


def _describe_all(directory: Path, paths: list[Path]) -> tuple[ManifestFile, ...]:
    odd = [path.name for path in paths if not stat.S_ISREG(path.lstat().st_mode)]
    if odd or not paths:
        what = f"{', '.join(odd)}, which is not a regular file" if odd else "no file"
        raise CheckpointCorrupt(f"the checkpoint in {directory} holds {what}")
    if unknown := odd_in_checkpoint(path.name for path in paths):
        raise CheckpointCorrupt(
            f"the checkpoint in {directory} holds {', '.join(map(repr, unknown))}",
            f"a checkpoint has only the files {', '.join(sorted(CHECKPOINT))}",
        )
    sizes = {path: path.stat().st_size for path in paths}
    digests: dict[Path, str] = {}

    def hash_one(path: Path, _stop: threading.Event) -> None:
        digests[path] = sha256_of(path)

    in_parallel(hash_one, sorted(paths, key=lambda path: -sizes[path]))
    return tuple(
        ManifestFile(name=path.name, size_bytes=sizes[path], sha256=digests[path]) for path in paths
    )


def _id_of(files: tuple[ManifestFile, ...]) -> str:
    """An id from the content, so that a repeated attempt writes the same keys."""
    text = "".join(f"{file.name}:{file.sha256}\n" for file in files)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]
