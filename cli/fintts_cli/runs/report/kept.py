"""The checkpoints that a run keeps, by its own rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.config import CheckpointConfig
from fintts_store.checkpoints.retention import Rule, plan_retention

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.checkpoints.retention import Retention
    from fintts_store.layout import CommitName
    from fintts_store.runs.run_record import RunRecord

MOST_KEPT = 1_000_000


def kept_of(
    record: RunRecord, manifests: Sequence[Manifest], pinned: Collection[CommitName] = ()
) -> Retention:
    """The committed checkpoints, each with the reasons to keep it."""
    rule = rule_of(record)
    return plan_retention(
        manifests, keep_last=rule.keep_last, keep_best=rule.keep_best, pinned=pinned
    )


def rule_of(record: RunRecord) -> Rule:
    """The run's retention rule."""
    section = record.config.get("checkpoints")
    checkpoints = section if isinstance(section, dict) else {}
    keep_last = checkpoints.get("keep_last")
    return Rule(
        keep_last=keep_last
        if isinstance(keep_last, int) and 1 <= keep_last <= MOST_KEPT
        else CheckpointConfig().keep_last,
        keep_best=checkpoints.get("keep_best") is not False,
    )
