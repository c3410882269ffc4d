"""Decides which checkpoints stay: a pure function of the committed ones."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from fintts_store.checkpoints.manifest import Manifest
from fintts_store.layout import CommitName

Reason = Literal["last", "best", "resume point", "pinned"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How many checkpoints stay in addition to pinned and needed ones."""

    keep_last: int
    keep_best: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint that stays, and why."""

    manifest: Manifest
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Retention:
    """The checkpoints that stay and those that go, each from the oldest on."""

    keep: tuple[Kept, ...]
    remove: tuple[Manifest, ...]


def newest_of(manifests: Sequence[Manifest]) -> Manifest | None:
    """The highest (claim, step), which a run resumes from."""
    return max(manifests, key=lambda manifest: manifest.name, default=None)


def best_of(manifests: Sequence[Manifest]) -> Manifest | None:
    """The best monitored value; the earliest step of equal ones, as in early stopping."""
    valued = [m for m in manifests if m.value is not None and math.isfinite(m.value)]
    return min(valued, key=_rank, default=None)


def _rank(manifest: Manifest) -> tuple[float, int, int]:
    value = manifest.value if manifest.value is not None else math.inf
    signed = value if manifest.mode == "min" else -value
    # A later claim may have trained a step again: then only the later commit counts.
    return signed, manifest.step, -manifest.claim


def plan_retention(
    manifests: Sequence[Manifest],
    *,
    keep_last: int,
    keep_best: bool,
    resume_point: str | None = None,
    pinned: Collection[CommitName] = (),
) -> Retention:
    """Keeps the newest `keep_last`, the best, the one that the run resumed from (its id), and all
    pinned ones.

    If a step was committed under two claims, only the newest commit counts towards `keep_last`.

    Raises:
        ValueError: `keep_last` is below 1, which would leave nothing to resume from.
    """
    if keep_last < 1:
        raise ValueError(f"keep_last is {keep_last}, and must be at least 1")
    ordered = sorted(manifests, key=lambda manifest: manifest.name)
    last = _last_steps(ordered, keep_last)
    best = best_of(ordered) if keep_best else None
    kept: list[Kept] = []
    removed: list[Manifest] = []
    for manifest in ordered:
        reasons: list[Reason] = []
        if manifest.id in last:
            reasons.append("last")
        if best is not None and manifest.id == best.id:
            reasons.append("best")
        if manifest.id == resume_point:
            reasons.append("resume point")
        if manifest.name in pinned:
            reasons.append("pinned")
        if reasons:
            kept.append(Kept(manifest, tuple(reasons)))
        else:
            removed.append(manifest)
    return Retention(tuple(kept), tuple(removed))


def _last_steps(ordered: Sequence[Manifest], keep_last: int) -> set[str]:
    """The ids of the newest commits of the last steps."""
    newest_by_step = {manifest.step: manifest for manifest in ordered}
    newest_first = sorted(newest_by_step.values(), key=lambda m: m.name, reverse=True)
    return {manifest.id for manifest in newest_first[:keep_last]}
