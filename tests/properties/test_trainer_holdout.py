"""The hold-out split, for any names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fintts_inputs.data.holdout import is_held_out
from fintts_inputs.data.pairs import split
from fintts_inputs.errors import DataProblem

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


def test_the_side_of_a_name_stays_what_it_was() -> None:
    """Runs that are there already were split so; a continuation must not mix the two sides."""
    held_out = [n for n in range(60) if is_held_out(f"u{n:03d}", 0.1)]
    assert held_out == [15, 16, 41, 46]
    assert is_held_out("sää/ö", 0.5) is True


@given(st.lists(st.text(), unique=True, min_size=1), st.text(), fractions)
def test_another_utterance_moves_none_across(names: list[str], new: str, fraction: float) -> None:
    def held_out(all_names: list[str]) -> set[str]:
        try:
            parts = split(all_names, fraction)
        except DataProblem:  # one side is empty; there is nothing to compare
            return {name for name in all_names if is_held_out(name, fraction)}
        assert sorted((*parts.train, *parts.held_out)) == list(range(len(all_names)))
        return {all_names[index] for index in parts.held_out}

    more = [*names, *({new} - set(names))]
    assert held_out(more) - {new} == held_out(names) - {new}
