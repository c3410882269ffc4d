"""What lists of runs look like."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.status.merge import view_run
from fintts_cli.views.status.runs import COLUMNS, render_live_line, render_runs
from fintts_store.runs.records import Phase
from run_samples import MINUTE, START, record, result, status

pytestmark = pytest.mark.usefixtures("far_away")

NOW = START + 30 * MINUTE
GONE = InstanceView("pid 7", is_live=False, created_at=START, ended_at=START + 21 * MINUTE)


def test_the_table_of_runs(golden: Callable[[str, str], None]) -> None:
    live = InstanceView("pid 8", is_live=True, created_at=START)
    later = record(run="other-2", created_at=START + 5 * MINUTE, infra="aws/us-east-1")
    views = [
        view_run(later, None, None, InstanceView(), NOW),
        view_run(record(), status(updated_at=NOW), None, live, NOW),
        view_run(record(run="old"), status(), result(), GONE, NOW),
        view_run(record(run="lost"), status(), None, GONE, NOW),
    ]
    golden("cli_ps.txt", render_runs(views, NOW) + "\n")


@pytest.mark.parametrize("width", [80, 50, 20])
def test_the_table_of_runs_fits_and_names_what_it_drops(width: int) -> None:
    live = InstanceView("pid 8", is_live=True, created_at=START)
    trouble = record(run="other-2", created_at=START)
    views = [
        view_run(
            trouble, status(updated_at=NOW, message="the store is slow " * 9), None, live, NOW
        ),
        view_run(record(), status(updated_at=NOW), None, live, NOW),
    ]
    text = render_runs(views, NOW, width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert "not shown here: " in words
    shown, dropped = words.split("not shown here: ")
    assert [name for name in COLUMNS if name not in dropped.split(";")[0].split(", ")] == [
        name for name in COLUMNS if f"{name} " in shown.split("kalevala-1")[0].split("other-2")[0]
    ]
    assert "$ SO FAR" in shown


def test_no_runs_are_said_in_words() -> None:
    assert render_runs([], NOW) == "no runs yet"


def test_the_live_line_says_what_the_contract_names() -> None:
    live = InstanceView("pid 8", is_live=True, created_at=START)
    now = START + 10 * MINUTE
    line = render_live_line(view_run(record(), status(), None, live, now), now)
    assert line == (
        "kalevala-1 · training · step 1000/3000 · loss 4.2500 · best 4.4000 @ 900 · "
        "ETA 15 min 00 s · $0.20 so far · $0.31 to go · deadline 10:00 UTC"
    )


def test_the_live_line_names_the_stage_before_training() -> None:
    live = InstanceView("pid 8", is_live=True, created_at=START)
    now = START + MINUTE
    encoding = status(phase=Phase.ENCODING, step=0, updated_at=now)
    line = render_live_line(view_run(record(), encoding, None, live, now), now)
    assert " · encoding · step 0/3000 · " in line
