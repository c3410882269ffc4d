"""Curves in a terminal."""

from __future__ import annotations

from fintts_cli.views.status.curve import plot


def test_a_curve_falls_from_left_to_right() -> None:
    lines = plot([(step, 10.0 - step / 10) for step in range(1, 100)], width=20, height=3)
    assert len(lines) == 4
    assert lines[0].startswith(" 9.") or "┤█" in lines[0]
    top, bottom = lines[0].split("┤")[1], lines[2].split("┤")[1]
    assert top[0] == "█"
    assert len(top) < 20
    assert bottom[-1] != " "
    assert "step 1" in lines[3]
    assert "step 99" in lines[3]


def test_a_stretched_curve_joins_its_points() -> None:
    lines = plot([(0, 8.0), (50, 0.0), (100, 4.0)], width=9, height=2, stretched=True)
    assert lines[:2] == ["8.0000 ┤█▄▁     ▁", "0.0000 ┤███▅▁▃▅▇█"]


def test_a_curve_leaves_out_what_is_no_number() -> None:
    assert plot([(1, float("nan")), (2, 1.0)]) == []
    assert plot([]) == []
    flat = plot([(1, 2.0), (2, 2.0), (3, float("inf"))])
    assert flat[0].startswith("2.0000 ┤")
