"""The findings of `fintts cloud reap`, as a table and as a document.

The document:

    instances    [{run, holder, where, infra, created_at, deadline_at, age_seconds, hourly_rate_usd,
                 cost_usd, whose, verdict, reason, removed}], oldest first. `holder` is what
                 removes it: folder, cluster, managed job, or instance if only the cloud knows it.
                 `whose` names the user who launched it from another laptop. `verdict` is kept,
                 orphan or doubtful. Rate and cost are null if neither this machine's journal nor
                 the run's ledger knows it
    unanswered   sentences: sources that did not answer and may have more instances
    remarks      sentences: what was not checked
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.views.units import duration, table
from fintts_cli.wording import iso
from fintts_cost.money import dollars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cli.runs.reap.search import Findings, JudgedInstance

COLUMNS = ("RUN", "INSTANCE", "AGE", "COST", "")


def render_findings(found: Findings) -> str:
    """One line per instance."""
    if not found.judged:
        return "no instances with fintts labels"
    rows = [
        (
            one.sighting.run,
            f"{one.sighting.holder} {one.sighting.where}",
            duration(one.seconds),
            dollars(one.cost_usd),
            f"{one.verdict}: {one.reason}",
        )
        for one in found.judged
    ]
    *numbers, last = zip(COLUMNS, *rows, strict=True)
    aligned = table([column[0] for column in numbers], list(zip(*numbers, strict=True))[1:], left=2)
    lines = zip(aligned.splitlines(), last, strict=True)
    return "\n".join(f"{line}  {verdict}".rstrip() for line, verdict in lines)


def document_of(found: Findings, after: Sequence[JudgedInstance]) -> dict[str, object]:
    """The document that the module describes; `after` holds each instance after its removal."""
    return {
        "instances": [_instance(one) for one in after],
        "unanswered": list(found.unanswered),
        "remarks": list(found.remarks),
    }


def _instance(one: JudgedInstance) -> dict[str, object]:
    seen, rate, cost = one.sighting, one.hourly_rate_usd, one.cost_usd
    return {
        "run": seen.run,
        "holder": str(seen.holder),
        "where": seen.where,
        "infra": seen.infra,
        "created_at": iso(seen.created_at),
        "deadline_at": iso(seen.deadline_at),
        "age_seconds": one.seconds,
        "hourly_rate_usd": None if rate is None else float(rate),
        "cost_usd": None if cost is None else float(round(cost, 2)),
        "whose": one.whose,
        "verdict": str(one.verdict),
        "reason": one.reason,
        "removed": one.is_removed,
    }
