"""Pages as text: one file, nothing from elsewhere, and nothing from a store that could run."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fintts_cli.views.html.chart import Line, chart, thinned, ticks
from fintts_cli.views.html.pages import compared_page, report_page
from fintts_cli.views.report.text import render_report
from report_samples import CONFIG, at_work, bare, ended, hostile, one_check

REPORTS = {
    "ended": ended, "at work": at_work, "hostile": hostile, "bare": bare, "one check": one_check,
}  # fmt: skip
MOST_BYTES = 100_000


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_is_small_and_needs_nothing_else(name: str) -> None:
    page = report_page(REPORTS[name]())
    assert len(page.encode()) < MOST_BYTES
    attributes = [name for tag in re.findall(r"<[a-z]([^>]*)>", page) for name in tag.split()]
    assert [name for name in attributes if re.match(r"(src|href|action)=", name)] == [
        'href="data:,"'
    ]
    assert "url(" not in page
    assert "@import" not in page


def test_what_a_store_holds_is_text() -> None:
    page = report_page(hostile())
    assert "<img" not in page
    assert page.count("<script>") == page.count("</script>") == 1
    assert 'onmouseover="' not in page
    assert "{{ 7 * 7 }}" in page
    assert not {"\x1b", "\u202e", "\x9b"} & set(page)


def test_checkpoints_are_shown_without_a_rule_and_heads() -> None:
    report = ended(config={**CONFIG, "early_stopping": {"enabled": False}})
    assert "Checkpoints kept" in report_page(replace(report, heads=()))


def test_only_a_run_at_work_is_loaded_again() -> None:
    assert '<meta http-equiv="refresh" content="30">' in report_page(at_work(), 30)
    assert "refresh" not in report_page(ended())


def test_runs_are_compared_on_one_page() -> None:
    other = ended(run="kalevala-1", config={"training": {"batch_size": 16}})
    page = compared_page([ended(), other, hostile()])
    assert page.count("<path") == 3
    assert "training.batch_size" in page


def test_plan_replan_and_actual_stand_beside_each_other() -> None:
    text = render_report(ended())
    assert re.search(r"ESTIMATE +RE-PLAN +ACTUAL +DIFFERENCE +\$ ESTIMATE", text)
    assert re.search(r"training +20 min 00 s +18 min 20 s +9 min 20 s", text)
    assert re.search(r"teardown +40.0 s +42.0 s +1 min 02 s", text), "no instance sees its own end"
    assert re.search(r"billed +25 min 00 s +25 min 22 s +21 min 00 s", text)
    assert "re-planned at step 25" in text
    assert "the estimate: $0.30 to $1.10, most likely $0.50, 15 min 00 s to 55 min 00 s" in text
    assert "training: -10 min 40 s by 1,600 steps fewer" in text
    assert "stopping early saved 1,600 steps: 12 min 51 s and $0.26" in text


def test_a_run_at_work_is_compared_without_a_difference_of_the_sums() -> None:
    text = render_report(at_work())
    assert "(estimated to step 3000, now at 1000)" in text
    assert at_work().difference_seconds is None


def test_without_a_replan_no_column_is_for_it() -> None:
    report = one_check()
    assert report.replan is None
    assert "RE-PLAN" not in render_report(report)
    assert "re-plan" not in report_page(report)


def test_the_rule_is_shown_around_the_stop() -> None:
    rows = [line.split() for line in render_report(ended()).splitlines()]
    assert ["1,400", "5.4000", "4.4000", "5", "of", "5", "stop"] in rows
    assert next(check.step for check in ended().stopping.checks if check.stops) == 1400


def test_a_value_that_is_no_number_is_named_and_does_not_count() -> None:
    report = one_check()
    assert len(report.stopping.checks) == 1
    assert report_page(report).count("nan") == 0


@pytest.mark.parametrize(("low", "high"), [(0, 1), (4.1, 4.3), (-3, 1e38), (0, 3000), (1, 1.0001)])
def test_ticks_are_round_few_and_within(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 7
    assert low <= found[0] < found[-1] <= high * (1 + 1e-12)


def test_a_long_line_is_thinned_and_keeps_its_end() -> None:
    points = tuple((step, float(step)) for step in range(50_000))
    found = thinned(points)
    assert len(found) <= 240
    assert found[-1] == points[-1]
    assert [step for step, _ in found] == sorted(step for step, _ in found)


def test_one_point_is_no_line() -> None:
    assert chart("Loss", [Line("training", "train", ((1, 2.0),))]) is None


def test_a_flat_line_has_a_place() -> None:
    drawn = chart("Loss", [Line("training", "train", ((0, 2.0), (9, 2.0)))])
    assert drawn is not None
    assert drawn.lines[0].path == "M0 500L1000 500"
