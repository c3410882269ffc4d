"""What `fintts store check` found, as text and as a document.

The document:

    store        its address
    ok           whether nothing is wrong: what only costs, and warnings, do not count
    read_data    whether every byte was read and its SHA-256 compared; else names and sizes were
    probes       [{name, verdict, sentence, hint}], in the order in which they were made; `verdict`
                 is one of ok, warning, failed, not probed
    runs         [{run, checkpoints, bytes, kept_steps}] of what is whole; null if it could not be
                 listed
    faults       [{kind, run, step, place, sentence, harmless}]; `kind` is one of record (run.json
                 is missing or unreadable), damaged (a checkpoint that cannot be restored), orphan
                 (files that were never committed), unfinished (an upload that has not ended); the
                 last two are harmless. `run` and `step` are null where there is none; `place` is
                 the key or folder below the store's address
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.views.outcomes import outcome_documents, outcome_lines
from fintts_cli.views.units import counted, size
from fintts_store.errors import StoreUnsound
from fintts_store.layout import checkpoint_prefix
from fintts_store.probes import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_store.manifest import Manifest
    from fintts_store.probes import Outcome
    from fintts_store.survey import Fault, RunSurvey, StoreSurvey


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """All findings; without a survey the store could not be listed."""

    url: str
    outcomes: Sequence[Outcome]
    survey: StoreSurvey | None
    torn: tuple[Fault, ...]
    """found by reading every byte"""
    bytes_were_read: bool

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All of them, run by run."""
        if self.survey is None:
            return ()
        found = [*(fault for run in self.survey.runs for fault in run.faults), *self.torn]
        return (*sorted(found, key=lambda fault: fault.place), *self.survey.faults)

    @property
    def failed(self) -> list[Outcome]:
        """The probes that failed."""
        return [one for one in self.outcomes if one.answer.verdict is Verdict.FAILED]

    @property
    def is_ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failed and all(fault.is_harmless for fault in self.faults)

    def whole(self, run: RunSurvey) -> list[Manifest]:
        """The checkpoints of a run that can be restored, as far as was looked."""
        torn = {fault.place for fault in self.torn}
        return [m for m in run.whole if checkpoint_prefix(run.run, m.name) not in torn]

    def to_json(self) -> dict[str, object]:
        """The document, as the module says."""
        runs = None if self.survey is None else [self._run(run) for run in self.survey.runs]
        return {
            "store": self.url,
            "ok": self.is_ok,
            "read_data": self.bytes_were_read,
            "probes": outcome_documents(self.outcomes),
            "runs": runs,
            "faults": [_fault(fault) for fault in self.faults],
        }

    def _run(self, run: RunSurvey) -> dict[str, object]:
        whole = self.whole(run)
        return {
            "run": run.run,
            "checkpoints": len(whole),
            "bytes": sum(manifest.size_bytes for manifest in whole),
            "kept_steps": sorted({manifest.step for manifest in whole}),
        }

    def refuse(self) -> None:
        """Raises StoreUnsound if something is wrong."""
        if self.is_ok:
            return
        wrong = sum(not fault.is_harmless for fault in self.faults)
        parts = [counted(len(self.failed), "probe") + " failed"] if self.failed else []
        parts += [counted(wrong, "fault") + " found in what it holds"] if wrong else []
        raise StoreUnsound(f"{self.url}: {', '.join(parts)}", "the lines above say what and where")


def _fault(fault: Fault) -> dict[str, object]:
    return {
        "kind": str(fault.kind),
        "run": fault.run,
        "step": fault.step,
        "place": fault.place,
        "sentence": fault.sentence,
        "harmless": fault.is_harmless,
    }


def render_check(check: StoreCheck) -> str:
    """One line a probe, then what lies there, then one line for each thing that is not right."""
    lines = [check.url, *outcome_lines(check.outcomes)]
    if check.survey is not None:
        lines += ["", _summary(check, check.survey)]
    kinds = max((len(fault.kind) for fault in check.faults), default=0)
    lines += [f"  {fault.kind:{kinds}}  {fault.place}: {fault.sentence}" for fault in check.faults]
    return "\n".join(lines)


def _summary(check: StoreCheck, survey: StoreSurvey) -> str:
    whole = [manifest for run in survey.runs for manifest in check.whole(run)]
    amount = size(sum(manifest.size_bytes for manifest in whole))
    how = "every byte read" if check.bytes_were_read else "by name and size"
    return (
        f"{counted(len(survey.runs), 'run')}, {counted(len(whole), 'whole checkpoint')} "
        f"of {amount}, {how}"
    )
