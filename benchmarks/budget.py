"""Tests budgets on simulated runs in which anything can go wrong, with the product's own rules.

    python benchmarks/budget.py [--runs N] [--seed S] [--reserve SHARE] [--json]

Hung and unresponsive trainers, stalled stores, a slow end, slow and hung set-up, sleeping laptops,
spot instances that are taken away, market prices, launches from several laptops, GPUs at several
rates, checks of 30 to 600 s. `--reserve 0` shows why the reserve is needed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import Counter
from decimal import Decimal, InvalidOperation
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

from simulated_runs import Outcome, outcomes


def summary(found: list[Outcome]) -> dict[str, object]:
    """The document of `--json`."""
    at_deadline = [each.unused_share for each in found if each.reason == "deadline"]
    return {
        "runs": len(found),
        "launches": sum(each.launches for each in found),
        "over_budget": sum(each.is_over_budget for each in found),
        "worst_over_usd": max(0.0, max(each.billed_usd - each.budget_usd for each in found)),
        "believed_below_billed": sum(each.is_believed_below_billed for each in found),
        "unused_share_median": statistics.median(each.unused_share for each in found),
        "unused_share_median_at_deadline": statistics.median(at_deadline) if at_deadline else None,
        "with_checkpoint": sum(each.step > 0 for each in found),
        "ended_by": dict(Counter(each.reason for each in found)),
    }


def exit_code(found: dict[str, object]) -> int:
    """1 if a run exceeded its budget, or a bill is lower than the cloud's; else 0."""
    return 1 if found["over_budget"] or found["believed_below_billed"] else 0


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("give 1 or more")
    return number


def _share(text: str) -> Decimal:
    try:
        share = Decimal(text)
    except InvalidOperation:
        share = Decimal(-1)
    if not share.is_finite() or not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("give a share of the reserve, 0 to 1")
    return share


def main() -> None:
    """Prints how many runs exceeded their budget, and how many bills are below the cloud's;
    exit code 1 if any did."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=_count, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reserve", type=_share, default=Decimal(1))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = summary(list(outcomes(options.runs, options.seed, options.reserve)))
    if options.json:
        print(json.dumps(found))
    else:
        for name, number in found.items():
            print(f"{name.replace('_', ' '):32} {number}")
    sys.exit(exit_code(found))


if __name__ == "__main__":
    main()
