"""Downloads committed checkpoints, verifies each, and downloads none twice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fintts_cli.checkpoints.unreadable import UnreadableCheckpoints
from fintts_cli.errors import CheckFailed, UsageProblem
from fintts_inputs.base_model.files import README
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.manifest import of_another_base_model
from fintts_store.checkpoints.restore import discard_partial, is_whole, restore
from fintts_store.checkpoints.retention import best_of, newest_of
from fintts_store.disk.durable import write_file
from fintts_store.disk.errors import chosen_by
from fintts_store.disk.lock import alone_in
from fintts_store.errors import InvalidRecord, KeyNotFound, RotatedAway, StoreError
from fintts_store.runs.runs import read_run, readable_result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from fintts_cli.terminal.terminal import Terminal
    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.layout import CommitName
    from fintts_store.store import Store

    Transfer = Callable[[int], AbstractContextManager[Callable[[int], None]]]
    """Takes the total number of bytes; the context gives a function to call with the bytes of each
    piece"""


OPTION = "--to"
LOOKS = 3
"""tries if a run removes checkpoints faster than they are downloaded"""


@dataclass(frozen=True, slots=True)
class Pulled:
    """One checkpoint and its folder; `trouble` says why the folder lacks it."""

    manifest: Manifest
    path: Path
    is_best: bool
    is_last: bool
    was_there: bool = False
    trouble: StoreError | None = None

    def to_json(self) -> dict[str, object]:
        """An element of `checkpoints` in the command's document."""
        return {
            "step": self.manifest.step,
            "path": str(self.path),
            "bytes": self.manifest.size_bytes,
            "verified": self.trouble is None,
            "best": self.is_best,
            "last": self.is_last,
        }


def find_checkpoints(
    store: Store, run: str, terminal: Terminal, step: int | None
) -> tuple[list[Manifest], UnreadableCheckpoints]:
    """A run's checkpoints, one a step; warns about those that cannot be read.

    Raises:
        CheckFailed: the run has no checkpoint yet.
        StoreError: all its checkpoints are damaged, or the one of `step` is.
    """
    damaged = UnreadableCheckpoints()
    found = list_manifests(store, run, on_unreadable=damaged.note)
    manifests = newest_of_each_step(_of_this_base_model(store, run, found, damaged))
    damaged.warn(terminal.warn)
    if not manifests:
        damaged.refuse()
        raise _no_checkpoint(store, run)
    if step is not None and all(manifest.step != step for manifest in manifests):
        damaged.refuse(step)
    return manifests, damaged


def _of_this_base_model(
    store: Store, run: str, manifests: Sequence[Manifest], damaged: UnreadableCheckpoints
) -> list[Manifest]:
    """Leaves out checkpoints of another base model, which would produce noise with this one."""
    try:
        digest = read_run(store, run).base_model.digest
    except (InvalidRecord, KeyNotFound):  # then it cannot be compared
        return list(manifests)
    for manifest in manifests:
        if manifest.base_model_digest != digest:
            damaged.note(manifest.name, of_another_base_model(manifest))
    return [manifest for manifest in manifests if manifest.base_model_digest == digest]


def _no_checkpoint(store: Store, run: str) -> CheckFailed:
    if readable_result(store, run) is None:
        hint = f"`fintts cloud watch {run}` shows its progress"
        return CheckFailed(f"run {run} has no checkpoint yet", hint)
    hint = f"`fintts cloud report {run}` shows how it ended"
    return CheckFailed(f"run {run} ended without a checkpoint", hint)


def newest_of_each_step(manifests: Sequence[Manifest]) -> list[Manifest]:
    """Keeps one checkpoint a step: of a step repeated after a preemption, the last."""
    by_step: dict[int, Manifest] = {}
    for manifest in sorted(manifests, key=lambda manifest: manifest.claim):
        by_step[manifest.step] = manifest
    return [by_step[step] for step in sorted(by_step)]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which checkpoints of a run the user wants; by default all."""

    best: bool = False
    last: bool = False
    step: int | None = None

    @property
    def is_all(self) -> bool:
        return not (self.best or self.last) and self.step is None

    def of(self, manifests: Sequence[Manifest]) -> list[Manifest]:
        """The chosen checkpoints.

        Raises:
            UsageProblem: there is no such checkpoint.
        """
        if self.step is not None:
            chosen = [manifest for manifest in manifests if manifest.step == self.step]
            steps = ", ".join(str(manifest.step) for manifest in manifests)
            return _one(
                chosen,
                f"there is no checkpoint of step {self.step}",
                f"the run has checkpoints of steps {steps}",
            )
        if self.best:
            found = best_of(manifests)
            return _one(
                [found] if found else [],
                "no checkpoint has a monitored value yet, so none is the best",
                "use --last for the newest",
            )
        if self.last:
            newest = newest_of(manifests)
            return [newest] if newest else []
        return list(manifests)


def _one(chosen: list[Manifest], sentence: str, hint: str) -> list[Manifest]:
    if not chosen:
        raise UsageProblem(sentence, hint)
    return chosen


def bring(
    store: Store,
    run: str,
    choice: Choice,
    target: Path,
    card: Callable[[Manifest], str] | None,
    terminal: Terminal,
) -> tuple[list[Pulled], UnreadableCheckpoints]:
    """Pulls the chosen checkpoints; chooses again if a training run removes one meanwhile.

    Also returns the checkpoints whose manifests cannot be read.

    Raises:
        UsageProblem: there is no such checkpoint, or a folder of that name holds something else.
        CheckFailed: the run has no checkpoint yet.
        StoreError: the store cannot be read.
    """
    here: dict[CommitName, Pulled] = {}
    looks = 0
    while True:
        looks += 1
        manifests, damaged = find_checkpoints(store, run, terminal, choice.step)
        missing = [one for one in choice.of(manifests) if not _has_come(here.get(one.name))]
        pulled = pull(store, missing, manifests, target, card, terminal.say, terminal.transfer)
        here |= {one.manifest.name: one for one in pulled}
        if looks == LOOKS or not any(isinstance(one.trouble, RotatedAway) for one in pulled):
            break
    best, newest = best_of(manifests), newest_of(manifests)
    seen = [
        replace(one, is_best=one.manifest == best, is_last=one.manifest == newest)
        for one in here.values()
    ]
    came = [one for one in seen if not isinstance(one.trouble, RotatedAway)]
    return sorted(came, key=lambda one: one.manifest.step) or seen[-1:], damaged


def _has_come(pulled: Pulled | None) -> bool:
    return pulled is not None and pulled.trouble is None


def pull(
    store: Store,
    chosen: Sequence[Manifest],
    everything: Sequence[Manifest],
    target: Path,
    card: Callable[[Manifest], str] | None,
    tell: Callable[[str], None],
    transfer: Transfer,
) -> list[Pulled]:
    """Restores the chosen checkpoints into TARGET/checkpoint-STEP/; a damaged one stops no other.

    If several processes pull into one folder, one does the work and the others verify it.

    Args:
        everything: all checkpoints of the run, to tell the best and the last.
        card: makes the README.md that is written beside a checkpoint's files.
        transfer: shows the progress of a transfer of so many bytes.

    Raises:
        UsageProblem: a folder of that name holds something else.
    """
    best, newest = best_of(everything), newest_of(everything)
    places = [(manifest, target / f"checkpoint-{manifest.step}") for manifest in chosen]
    pulled: list[Pulled] = []
    with (
        chosen_by(OPTION),
        alone_in(target, lambda: tell(f"waiting for another pull into {target} to finish")),
    ):
        discard_partial(target, [manifest.name for manifest in everything])
        there = {path for manifest, path in places if _is_there(manifest, path)}
        missing_bytes = sum(m.size_bytes for m, path in places if path not in there)
        with transfer(missing_bytes) as on_bytes:
            for manifest, path in places:
                was_there = path in there
                trouble = None if was_there else _restore(store, manifest, path, on_bytes)
                if trouble is None and card is not None:
                    trouble = _describe(path, card(manifest))
                tell(_sentence(manifest, path, was_there=was_there, trouble=trouble))
                pulled.append(
                    Pulled(manifest, path, manifest == best, manifest == newest, was_there, trouble)
                )
    return pulled


def _restore(
    store: Store, manifest: Manifest, path: Path, on_bytes: Callable[[int], None]
) -> StoreError | None:
    try:
        with chosen_by(OPTION):
            restore(store, manifest, path, on_bytes)
    except StoreError as error:
        return error
    except KeyboardInterrupt:
        again = "finished files are kept; run the same command to continue"
        raise KeyboardInterrupt(again) from None
    return None


def _describe(path: Path, card: str) -> StoreError | None:
    """Writes the card unless one exists, which the user may have changed."""
    try:
        if not (path / README).exists():
            with chosen_by(OPTION):
                write_file(path / README, card.encode())
    except StoreError as error:
        return error
    return None


def _sentence(
    manifest: Manifest, path: Path, *, was_there: bool, trouble: StoreError | None
) -> str:
    if isinstance(trouble, RotatedAway):
        return trouble.message
    if trouble is not None:
        return f"step {manifest.step}: {trouble.message}"
    megabytes = f"{manifest.size_bytes / 1e6:.1f} MB"
    verb = "exists already, verified" if was_there else f"{megabytes}, verified"
    return f"step {manifest.step}: {path} ({verb})"


def _is_there(manifest: Manifest, path: Path) -> bool:
    """Whether the folder holds this checkpoint, byte for byte.

    Raises:
        UsageProblem: it holds something else, which is not overwritten.
    """
    if path.is_symlink():
        raise UsageProblem(
            f"{path} is a link, and fintts does not write through links",
            f"choose another folder with {OPTION}, or move this link away",
        )
    if not path.exists():
        return False
    if is_whole(manifest, path):
        return True
    raise UsageProblem(
        f"{path} exists and is not this run's checkpoint of step {manifest.step}",
        f"choose another folder with {OPTION}, or move this one away",
    )
