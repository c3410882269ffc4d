"""The measured loss of each head of the model, and that of a uniform guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fintts_store.runs.limits import VALUE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fintts_store.runs.records import MetricRow

SUFFIX = "_loss"
WHOLE = "loss"


class HeadLosses(NamedTuple):
    """Validation losses in nats; None where there is none."""

    name: str
    uniform_guess: float
    before: float | None
    best: float | None
    """at the best check"""
    last: float | None


def head_losses(
    metrics: Sequence[MetricRow], guesses: Mapping[str, float], best_step: int | None
) -> tuple[HeadLosses, ...]:
    """Each head, and their sum if there are several."""
    checks = {row.step: row.values for row in metrics if row.kind == "validation"}
    heads = [name for name in guesses if any(f"{name}{SUFFIX}" in row for row in checks.values())]
    if not heads:
        return ()
    rows = [(name, f"{name}{SUFFIX}", guesses[name]) for name in heads]
    if len(heads) > 1:
        whole = "both" if len(heads) == 2 else "all"
        rows.append((whole, WHOLE, sum(guesses[name] for name in heads)))
    return tuple(
        HeadLosses(
            name,
            guess,
            _finite(checks.get(0), key),
            _finite(checks.get(best_step) if best_step is not None else None, key),
            _finite(checks[max(checks)], key),
        )
        for name, key, guess in rows
    )


def _finite(values: Mapping[str, float] | None, key: str) -> float | None:
    found = None if values is None else values.get(key)
    return found if found is not None and abs(found) <= VALUE else None
