"""Measures how well the end of a run is forecast from its first checks.

    python benchmarks/forecast.py [--curves FILE] [--seed N] [--simulated N] [--json]

With FILE, a JSON list of {"id", "values", "every", "max_steps", "patience", "min_delta", "mode"},
it forecasts each of these curves: "values" has one monitored value per check, "every" the steps
between two checks. It prints the steps at which each run ends as {"id", "checks", "p10", "p50",
"p90"}, forecast after 3, 5, 8, 12, 20 and 30 checks, as long as the run had not ended by then.

Without FILE, it measures the forecast on simulated curves (tests/support/simulated_curves.py) of
30, 60 and 100 checks and on the runs in benchmarks/curves/, whose ends are known:

- "holds": how often the run ended within P10 to P90; the target is 80 %.
- "width": P90 − P10, as a share of the step at which the run ended; the median over the curves.
- "error": how far P50 is from that step, as a share of it; the mean, since a forecast that
  always says max_steps has a median of 0 if half of the runs get that far.

It compares three simpler forecasts: that each run reaches max_steps; paths that continue a
damped local trend (Holt) with its own one-step errors; and paths of past differences, drawn at
random and shrunk with 1 / checks.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from forecast_baselines import always_max_steps, local_trend, past_differences
from forecast_cases import BadFile, Case, cases_in, recorded, simulated

from fintts_trainer.forecast.stop import StopSteps, forecast_stop
from simulated_curves import FAMILIES, OTHERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fintts_cost.training.early_stopping import Progress

    Forecast = Callable[[Case, Progress, int], StopSteps | None]

AFTER = (3, 5, 8, 12, 20, 30)
"""checks"""
LENGTHS = (30, 60, 100)
DESIGN_SEEDS = (*range(10), 2026)
"""The forecast was designed on these seeds; use others to measure it."""


def ours(case: Case, progress: Progress, checks: int) -> StopSteps | None:
    """The product's forecast."""
    return forecast_stop(case.rule, progress, case.seen(checks), case.cadence(checks))


FORECASTS: dict[str, Forecast] = {
    "fintts": ours,
    "max_steps": always_max_steps,
    "local trend": local_trend,
    "differences": past_differences,
}


@dataclass(frozen=True)
class Outcome:
    """One forecast and the actual end."""

    forecast: str
    group: str
    length: int
    """checks to max_steps"""
    checks: int
    low: int
    likely: int
    high: int
    end: int
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the run ended within the interval."""
        return self.low <= self.end <= self.high


def outcomes_of(cases: Iterable[Case], forecasts: dict[str, Forecast]) -> list[Outcome]:
    """Every forecast of every case, while its run had not ended."""
    found: list[Outcome] = []
    for case in cases:
        for checks in AFTER:
            progress = case.progress(checks)
            if progress is None:
                break
            for name, forecast in forecasts.items():
                began = time.perf_counter()
                stops = forecast(case, progress, checks)
                seconds = time.perf_counter() - began
                if stops is not None:
                    length = case.max_steps // case.every
                    three = (stops.low, stops.likely, stops.high)
                    found.append(
                        Outcome(name, case.group, length, checks, *three, case.end_step, seconds)
                    )
    return found


def summary(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """The figures of a group of outcomes."""
    return {
        "curves": len(outcomes),
        "holds": mean(each.holds for each in outcomes),
        "width": median((each.high - each.low) / each.end for each in outcomes),
        "error": mean(abs(each.likely - each.end) / each.end for each in outcomes),
        "milliseconds": 1000 * median(each.seconds for each in outcomes),
    }


def grouped(
    outcomes: Iterable[Outcome], key: Callable[[Outcome], tuple[object, ...]]
) -> dict[tuple[object, ...], dict[str, float]]:
    """The summary of each group, in the order in which the groups appear."""
    groups: dict[tuple[object, ...], list[Outcome]] = {}
    for each in outcomes:
        groups.setdefault(key(each), []).append(each)
    return {name: summary(group) for name, group in groups.items()}


def measure(seed: int, count: int) -> dict[str, list[Outcome]]:
    """All outcomes of the report, by part."""
    known = [case for n in LENGTHS for case in simulated(FAMILIES, count, n, seed)]
    others = [case for n in LENGTHS for case in simulated(OTHERS, count // 4, n, seed)]
    return {
        "simulated": outcomes_of(known, FORECASTS),
        "other shapes": outcomes_of(others, {"fintts": ours}),
        "recorded": outcomes_of(recorded(), FORECASTS),
    }


def report(parts: dict[str, list[Outcome]]) -> None:
    """Tables: by checks, by horizon, by family."""
    for part, outcomes in parts.items():
        if not outcomes:
            continue
        mine = [each for each in outcomes if each.forecast == "fintts"]
        _table(f"{part}, by checks seen", outcomes, lambda each: (each.forecast, each.checks))
        _table(f"{part}, by length", mine, lambda each: (f"{each.length} checks", each.checks))
        if part != "recorded":
            _table(f"{part}, by family", mine, lambda each: (each.group, each.checks))


def _table(
    title: str, outcomes: Sequence[Outcome], key: Callable[[Outcome], tuple[object, object]]
) -> None:
    groups = grouped(outcomes, key)
    print(f"\n{title}")
    print(f"{'':16}" + "".join(f"{f'after {checks}':>22}" for checks in AFTER))
    print(f"{'':16}" + f"{'holds width error':>22}" * len(AFTER))
    for name in dict.fromkeys(name for name, _ in groups):
        cells = (groups.get((name, checks)) for checks in AFTER)
        print(f"{name!s:16}" + "".join(f"{_cell(each):>22}" for each in cells))


def _cell(group: dict[str, float] | None) -> str:
    if group is None:
        return "–"
    return f"{group['holds']:5.0%} {group['width']:5.2f} {group['error']:5.2f}"


def forecast_file(path: Path) -> list[dict[str, Any]]:
    """The forecasts for FILE."""
    answer: list[dict[str, Any]] = []
    for case in cases_in(path):
        for checks in AFTER:
            progress = case.progress(checks)
            stops = None if progress is None else ours(case, progress, checks)
            if stops is not None:
                three = {"p10": stops.low, "p50": stops.likely, "p90": stops.high}
                answer.append({"id": case.id, "checks": checks, **three})
    return answer


def main() -> None:
    """Forecasts FILE, or measures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--curves", type=Path, metavar="FILE")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--simulated", type=int, default=160, help="curves of each length")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.curves is not None:
        try:
            answer = forecast_file(given.curves)
        except BadFile as error:
            parser.error(str(error))
        if given.json:
            print(json.dumps(answer))
        else:
            for each in answer:
                print(*each.values())
        return
    if given.seed in DESIGN_SEEDS:
        parser.error(f"seed {given.seed} was used in design")
    parts = measure(given.seed, given.simulated)
    if given.json:
        print(json.dumps(_document(parts)))
    else:
        report(parts)


def _document(parts: dict[str, list[Outcome]]) -> list[dict[str, Any]]:
    return [
        {"part": part, "forecast": name, "length": length, "checks": checks, **figures}
        for part, outcomes in parts.items()
        for (name, length, checks), figures in grouped(
            outcomes, lambda each: (each.forecast, each.length, each.checks)
        ).items()
    ]


if __name__ == "__main__":
    main()
