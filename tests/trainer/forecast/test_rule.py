"""The rule over many paths is the rule of fintts_cost, for any curve."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fintts_cost.training.early_stopping import EarlyStopping, Progress
from fintts_trainer.forecast.rule import ends_of

# Few different values, so that ties and gains of exactly min_delta are frequent.
COARSE = st.integers(-6, 6).map(lambda n: n / 4)
ODD = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-308, 1e300, -1e300])
VALUES = st.one_of(COARSE, COARSE, ODD, st.floats(-10, 10))
RULES = st.builds(
    EarlyStopping,
    mode=st.sampled_from(["min", "max"]),
    patience=st.integers(1, 6),
    min_delta=st.sampled_from([0.0, 0.25, 0.5, 1e-9, 2.0]),
)


def one_by_one(rule: EarlyStopping, progress: Progress, path: list[float]) -> tuple[int, float]:
    """The check at which the rule fires, 0 if it does not, and the best value by then."""
    for check, value in enumerate(path, 1):
        progress = rule.check(progress, check, value)
        if rule.should_stop(progress):
            return check, _best(progress)
    return 0, _best(progress)


def _best(progress: Progress) -> float:
    return math.nan if progress.best_value is None else progress.best_value


@given(
    rule=RULES,
    seen=st.lists(VALUES, max_size=8),
    paths=st.integers(0, 12).flatmap(
        lambda n: st.lists(st.lists(VALUES, min_size=n, max_size=n), min_size=1, max_size=5)
    ),
)
def test_many_paths_end_where_the_rule_ends_each_of_them(
    rule: EarlyStopping, seen: list[float], paths: list[list[float]]
) -> None:
    progress = rule.start()
    for check, value in enumerate(seen, 1):
        progress = rule.check(progress, check, value)
        if rule.should_stop(progress):
            return
    ends = ends_of(rule, progress, np.array(paths, dtype=np.float64).reshape(len(paths), -1))
    expected = [one_by_one(rule, progress, path) for path in paths]
    assert ends.checks.tolist() == [check for check, _ in expected]
    np.testing.assert_array_equal(ends.best, [best for _, best in expected])
