"""What was measured on samples, as a table and as charts."""

from __future__ import annotations

from dataclasses import replace

from fintts_cli.runs.report.report import RunReport
from fintts_cli.runs.report.stopping import stopping_of
from fintts_cli.views.html.curves import charts_of
from fintts_cli.views.report.scores import scores
from fintts_cli.views.report.text import render_report
from fintts_store.runs.records import MetricRow
from report_samples import CONFIG, ended
from run_samples import START, record

STOPPING = {"monitor": "eval/similarity", "mode": "max", "patience": 2}


def row(step: int, **values: float) -> MetricRow:
    return MetricRow(step=step, kind="eval", values=values, at=START)


ROWS = [
    row(0, cer=0.9, similarity=0.6, recordings_cer=0.05, recordings_similarity=0.97),
    row(100, cer=0.5, similarity=0.7),
    row(200, cer=0.4),
    row(300, cer=0.3, similarity=0.65),
]


def measured() -> RunReport:
    found = ended()
    stopping = stopping_of(record(config={**CONFIG, "early_stopping": STOPPING}), ROWS)
    return replace(found, metrics=(*found.metrics, *ROWS), stopping=stopping)


def test_the_rule_ignores_a_check_without_a_value() -> None:
    checks = measured().stopping.checks
    assert [(one.step, one.value, one.without_improvement) for one in checks] == [
        (100, 0.7, 0),
        (300, 0.65, 1),
    ]


def test_recordings_base_and_steps_stand_in_one_table() -> None:
    table = scores(ROWS, 100)
    assert table is not None
    assert list(table.header) == ["spoken by", "Character error rate", "Similarity", ""]
    assert [tuple(line) for line in table.rows] == [
        ("recordings", "0.0500", "0.9700", ""),
        ("base model", "0.9000", "0.6000", ""),
        ("step 100", "0.5000", "0.7000", "best"),
        ("step 200", "0.4000", "–", ""),
        ("step 300", "0.3000", "0.6500", ""),
    ]
    assert "Samples, measured" in render_report(measured())
    assert "Samples, measured" not in render_report(ended())
    assert scores([], None) is None


def test_each_measure_has_a_chart_with_the_level_of_the_recordings() -> None:
    charts = {one.title: one for one in charts_of(measured())}
    voice = charts["Similarity of the samples"]
    assert [line.points for line in voice.lines] == [[(0, 0.6), (100, 0.7), (300, 0.65)]]
    assert [level.text for level in voice.levels] == []
    assert [dot.text.partition(":")[0] for dot in voice.dots] == ["best"]
    assert "Character error rate of the samples" in charts
    assert "DNSMOS of the samples" not in charts
    assert not charts["Loss (nats)"].dots, "the best is not the best by loss"
    assert not any("of the samples" in one.title for one in charts_of(ended()))
