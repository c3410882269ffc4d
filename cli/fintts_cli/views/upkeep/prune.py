"""What `fintts cloud prune` removes and keeps, as text and as a document.

The document:

    run            its name
    keep           [{step, bytes, reasons}], oldest first; the reasons are last, best, resume
                   point, pinned
    remove         [{step, place, bytes, committed, removed}]: checkpoints, and files that were
                   never committed; `removed` says whether it is gone
    remove_bytes   the bytes of all entries to remove
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.views.units import counted, size, table
from fintts_store.layout import checkpoint_prefix

if TYPE_CHECKING:
    from collections.abc import Collection

    from fintts_store.layout import CommitName
    from fintts_store.upkeep.pruning import PrunePlan


def render_plan(plan: PrunePlan) -> str:
    """One line for each checkpoint that is kept or removed, with its bytes."""
    kept = counted(len(plan.keep), "checkpoint")
    lines = [f"run {plan.snapshot.run} keeps {kept} of {size(plan.kept_bytes)}"]
    rows = [
        ("keep", ", ".join(kept.reasons), str(kept.manifest.step), size(kept.manifest.size_bytes))
        for kept in plan.keep
    ]
    rows += [("remove", "", str(gone.step), size(gone.size_bytes)) for gone in plan.remove]
    rows += [
        ("remove", "never committed", str(orphan.name.step), size(orphan.size_bytes))
        for orphan in plan.orphans
    ]
    if rows:
        lines.append(table(("", "WHY", "STEP", "SIZE"), rows, left=2))
    if plan.is_empty:
        return "\n".join([*lines, "nothing to remove"])
    going = counted(len(plan.remove) + len(plan.orphans), "folder")
    return "\n".join([*lines, f"{going} of {size(plan.removed_bytes)} to remove"])


def document_of(plan: PrunePlan, gone: Collection[CommitName]) -> dict[str, object]:
    """The document that the module describes."""
    run = plan.snapshot.run
    going = [
        *((manifest.name, manifest.size_bytes, True) for manifest in plan.remove),
        *((orphan.name, orphan.size_bytes, False) for orphan in plan.orphans),
    ]
    return {
        "run": run,
        "keep": [
            {
                "step": kept.manifest.step,
                "bytes": kept.manifest.size_bytes,
                "reasons": list(kept.reasons),
            }
            for kept in plan.keep
        ],
        "remove": [
            {
                "step": name.step,
                "place": checkpoint_prefix(run, name),
                "bytes": size_bytes,
                "committed": committed,
                "removed": name in gone,
            }
            for name, size_bytes, committed in going
        ],
        "remove_bytes": plan.removed_bytes,
    }
