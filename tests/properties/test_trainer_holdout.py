"""The hold-out split, for any names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fintts_trainer.holdout import is_held_out

fractions = st.floats(0.01, 0.99)


@given(st.text(), fractions)
def test_an_utterance_is_on_one_side_whatever_else_there_is(name: str, fraction: float) -> None:
    assert is_held_out(name, fraction) == is_held_out(name, fraction)


@given(st.text(), fractions, fractions)
def test_a_larger_fraction_holds_out_more(name: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert not is_held_out(name, small) or is_held_out(name, large)


@given(st.sampled_from([0.05, 0.1, 0.2, 0.5]), st.text(max_size=5))
def test_the_share_is_near_the_fraction(fraction: float, prefix: str) -> None:
    held_out = sum(is_held_out(f"{prefix}{n}", fraction) for n in range(4000))
    # Five standard deviations of a binomial count.
    spread = 5 * (4000 * fraction * (1 - fraction)) ** 0.5
    assert abs(held_out - 4000 * fraction) < spread
