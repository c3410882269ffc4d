"""Reports of odd runs: preempted, free, planned from an old price list, with clocks that differ."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from checks import every
from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.report import stored
from fintts_cli.runs.report.phases import PHASES, PhaseDifference, Times
from fintts_cli.runs.report.read import read_report
from fintts_cli.runs.report.timeline import instances_of_run
from fintts_cli.runs.status.merge import view_run
from fintts_cli.views.html.pages import report_page
from fintts_cli.views.report.text import render_report
from fintts_cli.views.report.words import price_line
from fintts_store.backends.directory import DirectoryStore
from fintts_store.layout import metrics_key
from fintts_store.runs.ledger import Evidence, Gone, Ledger, Up
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.run_record import PriceRef
from fintts_store.runs.runs import create_run
from report_samples import ESTIMATE, LAPTOP, NOW, bare, ended, ledger, timed_metrics
from run_samples import MINUTE, START, record, status


def test_a_preempted_run_has_its_phases_on_each_instance() -> None:
    [launch] = ledger(None).launches
    assert launch.asked is not None
    seen = {"run": "kalevala-1", "launch": 1, "seen_by": LAPTOP}
    gone = Gone(**seen, at=START + 8 * MINUTE, evidence=Evidence.CLOUD)
    again = Up(**seen, at=START + 10 * MINUTE)
    asked = launch.asked.model_copy(update={"spot": True})
    spot = replace(launch, asked=asked, ups=(*launch.ups, again), gones=(gone,))
    view = view_run(
        record(spot=True), status(launch=1, updated_at=NOW), None, InstanceView(), NOW,
        Ledger((spot,)),
    )  # fmt: skip
    rows = [row for row in timed_metrics() if not 500 < row.step <= 700]
    first, second = instances_of_run(view, rows, NOW)
    assert [one.phase for one in first.stretches] == [
        "provisioning", "setup", "training", "teardown",
    ]  # fmt: skip
    assert [one.phase for one in second.stretches] == ["setup", "training"]
    ends = [(one.began, one.ended) for one in (*first.stretches, *second.stretches)]
    assert all(began < ended for began, ended in ends)
    assert all(ended <= began for (_, ended), (began, _) in pairwise(ends))


def test_a_free_run_has_a_report() -> None:
    free = PriceRef(hourly_rate_usd=Decimal(0), source="option")
    report = ended(price=free, budget_usd=None, estimate={**ESTIMATE, "cost_usd": 0.0})
    assert report.difference_usd is not None
    assert "billed" in render_report(report)
    assert report_page(report)


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_that_differs_has_its_reason(phase: str) -> None:
    each = (Times(10, 6.0), Times(10, 2.0))
    one = PhaseDifference(phase, 60.0, 20.0, None, None, *each)
    assert f"\n  {phase}: -40.0 s" in render_report(replace(ended(), phases=(one,)))


def test_only_a_run_that_speaks_has_samples() -> None:
    assert "samples" not in [each.phase for each in ended().phases]
    report = ended(estimate={**ESTIMATE, "samples_seconds": 60.0})
    (samples,) = [each for each in report.phases if each.phase == "samples"]
    assert samples.estimated_seconds == 60.0
    assert samples.estimated_usd == Decimal("1.20") / 60


def test_without_an_estimate_nothing_is_compared() -> None:
    report = bare()
    assert report.estimated_seconds is None
    assert report.difference_usd is None
    assert "Reasons for the difference" not in render_report(report)


@pytest.mark.parametrize(
    ("as_of", "words"),
    [
        ("2026-10-01", "price from a list, as of 2026-10-01, 53 days before the launch"),
        ("2026-11-23", "price from a list, as of 2026-11-23"),
        ("yesterday", "price from a list, as of yesterday"),
        (None, "price from a list"),
    ],
)
def test_an_old_price_says_its_age(as_of: str | None, words: str) -> None:
    assert price_line(replace(ended(), price_source="a list", price_as_of=as_of)) == words


def test_clocks_that_differ_are_said_on_the_page(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    create_run(store, record())
    said: list[str] = []
    report = read_report(
        store, "kalevala-1", lambda _record, _store: InstanceView(), NOW,
        lambda sentence, _hint: said.append(sentence), skew="this clock is 300 s ahead",
    )  # fmt: skip
    assert report.warnings == (
        "this clock is 300 s ahead: the times and costs below may be off by that much",
    )
    assert said == []  # the command has said it already


def test_a_heartbeat_from_the_future_is_no_negative_time() -> None:
    told = status(updated_at=NOW + timedelta(hours=3), launch=1)
    view = view_run(record(), told, None, InstanceView(), NOW, ledger(None))
    [instance] = instances_of_run(view, [], NOW)
    assert every(one.began < one.ended for one in instance.stretches)


def test_a_part_of_the_metrics_is_read_once(tmp_path: Path) -> None:
    store, known = DirectoryStore(tmp_path), dict[str, bytes]()
    key = metrics_key("kalevala-1", 1, 0)
    store.put(key, b"".join(row.dump().encode() + b"\n" for row in timed_metrics(3)))
    before = read_metrics(store, "kalevala-1", known).rows
    (tmp_path / key).write_bytes(b"changed, which a part never is\n")
    store.put(metrics_key("kalevala-1", 1, 1), timed_metrics(4)[3].dump().encode())
    after = read_metrics(store, "kalevala-1", known).rows
    assert (len(before), len(after)) == (4, 5)
    assert known.keys() == {key, metrics_key("kalevala-1", 1, 1)}


@pytest.mark.parametrize(
    "content",
    [
        {}, {"a": None}, {"a": 5}, {"a": {"low": 1, "likely": 2}}, {"a": {"low": True}},
        {"a": {"low": 3, "likely": 2, "high": 4}}, {"a": {"low": 1, "likely": 2, "high": "3"}},
        {"a": {"low": -1, "likely": 2, "high": 3}}, {"a": {"low": 1, "likely": 2, "high": 1e300}},
    ],
)  # fmt: skip
def test_a_range_that_is_not_whole_is_none(content: dict[str, object]) -> None:
    assert stored.span(content, "a") is None  # type: ignore[arg-type]
    assert stored.span({"a": {"low": 1, "likely": 2, "high": 3}}, "a") == (1, 2, 3)


def test_a_replan_pays_for_the_last_upload_and_for_the_removal_after_it() -> None:
    """The estimate has 40 s from the job's end until the instance is gone; the upload comes first,
    and takes 1 to 4 s."""
    plan = ended().replan
    assert plan is not None
    assert tuple(plan.phases["teardown"]) == (41.0, 42.0, 44.0)
    assert tuple(plan.seconds) == (180 + 1100 + 41, 180 + 1300 + 42, 180 + 1900 + 44)
    assert plan.usd.likely == pytest.approx(plan.seconds.likely * 1.2 / 3600)
