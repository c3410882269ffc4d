"""The outcome of each check: one line or one object each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_store.probes.probes import Outcome


def outcome_documents(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """[{name, verdict, sentence, hint}]; `verdict` is ok, warning, failed or not probed."""
    return [
        {
            "name": outcome.name,
            "verdict": str(outcome.finding.verdict),
            "sentence": outcome.finding.sentence,
            "hint": outcome.finding.hint,
        }
        for outcome in outcomes
    ]


def outcome_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """One line per outcome, then what to do."""
    names = max(len(outcome.name) for outcome in outcomes)
    verdicts = max(len(outcome.finding.verdict) for outcome in outcomes)
    lines = [outcome_line(outcome, names, verdicts) for outcome in outcomes]
    return [*lines, *hint_lines(outcomes)]


def outcome_line(outcome: Outcome, names: int, verdicts: int) -> str:
    """One outcome, in columns of these widths."""
    answer = outcome.finding
    return f"  {outcome.name:{names}}  {answer.verdict:{verdicts}}  {answer.sentence}".rstrip()


def hint_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """The hints, without duplicates."""
    hints = dict.fromkeys(one.finding.hint for one in outcomes if one.finding.hint)
    return [f"hint: {hint}" for hint in hints]
