"""The findings of `fintts store check`, as text and as a document.

The document:

    store        its address
    ok           whether nothing is wrong; harmless faults and warnings do not count
    read_data    whether every byte was read and its SHA-256 compared, not just names and sizes
    probes       [{name, verdict, sentence, hint}], in the order of the probes; `verdict` is one of
                 ok, warning, failed, not probed
    runs         [{run, checkpoints, bytes, kept_steps}] of complete checkpoints; null if they
                 could not be listed
    inputs       [{place, bytes, runs}] of the complete data sets, base models and adapters that
                 runs read, each once; null if they could not be listed
    faults       [{kind, run, step, place, sentence, harmless}], sorted by `place`, which is the key
                 or folder below the store's address. `kind` is one of record (run.json is missing
                 or unreadable), damaged (a checkpoint that cannot be restored), later (a
                 checkpoint from a later version of fintts; harmless, too), input (an input of runs
                 is missing or damaged: they cannot continue), orphan (files that were never
                 committed), unfinished (an upload in progress), unused (an input that no run names;
                 not reported while a run.json cannot be read); the last three are harmless. `run`
                 and `step` are null if there is none, `run` also if there are several
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.views.checks.outcomes import outcome_documents, outcome_lines
from fintts_cli.views.units import counted, size
from fintts_store.errors import StoreUnsound
from fintts_store.layout import checkpoint_prefix
from fintts_store.probes.probes import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.probes.probes import Outcome
    from fintts_store.upkeep.faults import Fault
    from fintts_store.upkeep.inputs import Input
    from fintts_store.upkeep.survey import RunSurvey, StoreSurvey


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """All findings; the survey is None if the store could not be listed."""

    url: str
    outcomes: Sequence[Outcome]
    survey: StoreSurvey | None
    torn: tuple[Fault, ...]
    """faults found by reading every byte"""
    bytes_were_read: bool

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults, sorted by place: those of the inputs, then run by run."""
        if self.survey is None:
            return ()
        of_runs = [fault for run in self.survey.runs for fault in run.faults]
        found = [*of_runs, *self.torn, *self.survey.faults]
        return tuple(sorted(found, key=lambda fault: fault.place))

    @property
    def failed(self) -> list[Outcome]:
        """The probes that failed."""
        return [one for one in self.outcomes if one.finding.verdict is Verdict.FAILED]

    @property
    def is_ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failed and all(fault.is_harmless for fault in self.faults)

    def whole(self, run: RunSurvey) -> list[Manifest]:
        """The checkpoints of a run that can be restored, as far as was checked."""
        torn = {fault.place for fault in self.torn}
        return [m for m in run.whole if checkpoint_prefix(run.run, m.name) not in torn]

    @property
    def inputs(self) -> list[Input]:
        """The inputs that runs can read, as far as was checked."""
        torn = {fault.place for fault in self.torn}
        named = () if self.survey is None else self.survey.inputs
        return [one for one in named if not any(file.key in torn for file in one.files)]

    def to_json(self) -> dict[str, object]:
        """The document that the module describes."""
        runs = None if self.survey is None else [self._run(run) for run in self.survey.runs]
        inputs = None if self.survey is None else [_input(one) for one in self.inputs]
        return {
            "store": self.url,
            "ok": self.is_ok,
            "read_data": self.bytes_were_read,
            "probes": outcome_documents(self.outcomes),
            "runs": runs,
            "inputs": inputs,
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
        parts += [counted(wrong, "fault") + " found in its contents"] if wrong else []
        raise StoreUnsound(f"{self.url}: {', '.join(parts)}", "see the lines above")


def _input(one: Input) -> dict[str, object]:
    return {"place": one.place, "bytes": one.size_bytes, "runs": list(one.runs)}


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
    """One line per probe, then the contents, then one line per fault."""
    lines = [check.url, *outcome_lines(check.outcomes)]
    if check.survey is not None:
        lines += ["", _summary(check, check.survey)]
    kinds = max((len(fault.kind) for fault in check.faults), default=0)
    lines += [f"  {fault.kind:{kinds}}  {fault.place}: {fault.sentence}" for fault in check.faults]
    return "\n".join(lines)


def _summary(check: StoreCheck, survey: StoreSurvey) -> str:
    whole = [manifest for run in survey.runs for manifest in check.whole(run)]
    how = "every byte read" if check.bytes_were_read else "by name and size"
    return (
        f"{counted(len(survey.runs), 'run')}, {_amount(whole, 'whole checkpoint')}, "
        f"{_amount(check.inputs, 'input')}, {how}"
    )


def _amount(found: Sequence[Manifest | Input], what: str) -> str:
    """3 inputs of 1.2 GB"""
    return f"{counted(len(found), what)} of {size(sum(one.size_bytes for one in found))}"
