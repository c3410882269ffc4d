"""The screen of `watch`, drawn by Rich's own console at fixed sizes and kept as golden files."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console, Group

from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.status.checks import points_of
from fintts_cli.runs.status.merge import view_run
from fintts_cli.views.page import Page
from fintts_cli.views.status.screen import Watched, screen_lines
from fintts_store.runs.records import Phase, StopForecast, Work
from hostile_stores import EVIL
from report_samples import REPLAN
from run_samples import MINUTE, START, metrics, record, result, status

NOW = START + 10 * MINUTE
LIVE = InstanceView("pid 8", is_live=True, created_at=START)
FORECAST = StopForecast(
    checks=9, low_step=1900, likely_step=2400, high_step=2900, improvement=0.06,
    low_seconds=600, likely_seconds=900, high_seconds=1500,
)  # fmt: skip
WORK = Work(
    tokens_per_second=8000, mfu=0.41, memory_peak_bytes=21e9, gpu_memory_bytes=85e9,
    gpu_utilisation=0.97,
)  # fmt: skip
SAID = "09:09:58 UTC step 1000: validation loss 4.5000 (text 2.5000, codes 2.0000)"
SIZES = ((80, 24), (50, 24), (200, 50), (80, 12), (20, 10))


def watched(heartbeat: dict[str, Any] | None = None, **changes: Any) -> Watched:
    """A run in full training, with what the heartbeat says changed."""
    told = {
        "updated_at": NOW - timedelta(seconds=2), "stop_forecast": FORECAST, "work": WORK,
        "said": SAID, "checks_without_improvement": 1, "replan": REPLAN, **(heartbeat or {}),
    }  # fmt: skip
    kept = record(
        budget_usd=Decimal("2.00"),
        estimate={"steps_per_epoch": 250, "cost_usd": 0.5},
        config={"early_stopping": {"patience": 5}},
        **changes,
    )
    checks = points_of(metrics()[:-4], "validation", "loss")
    return Watched(view_run(kept, status(**told), None, LIVE, NOW), checks)


def drawn(shown: Watched, page: Page, *, color: bool = False) -> str:
    """What a terminal of that size shows, line by line."""
    console = Console(
        file=io.StringIO(), width=page.width, height=page.height, force_terminal=color,
        color_system="standard" if color else None, highlight=False, markup=False,
    )  # fmt: skip
    with console.capture() as capture:
        console.print(Group(*screen_lines(shown, NOW, page)))
    return capture.get()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_run_at_work(width: int, height: int, golden: Callable[[str, str], None]) -> None:
    text = drawn(watched(), Page(width, height))
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= height
    golden(f"watch_{width}x{height}.txt", "\n".join(line.rstrip() for line in lines) + "\n")


def test_in_setup_a_clock_and_a_sign_of_life_move(golden: Callable[[str, str], None]) -> None:
    setup: dict[str, Any] = {
        "phase": Phase.SETUP, "step": 0, "loss": None, "best_step": None, "best_value": None,
        "stop_forecast": None, "work": None, "eta_seconds": None, "seconds_per_step": None,
        "last_committed_step": None, "message": "compiling the layers",
        "started_at": NOW - timedelta(seconds=72),
    }  # fmt: skip
    shown = replace(watched(setup), checks=())
    golden("watch_setup.txt", drawn(shown, Page(80, 24)))
    frames = {screen_lines(shown, NOW, Page(80, 24), at / 8)[1].plain[0] for at in range(4)}
    assert len(frames) == 4


def test_a_terminal_without_utf_8_gets_ascii(golden: Callable[[str, str], None]) -> None:
    text = drawn(watched(), Page(80, 24, "ascii"))
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80
    golden("watch_ascii.txt", "\n".join(map(str.rstrip, text.splitlines())) + "\n")


def test_without_colour_the_bars_say_the_same() -> None:
    [budget] = [line for line in drawn(watched(), Page(80, 24)).splitlines() if "budget  " in line]
    spent, to_come = budget.count("━"), budget.count("╍")
    assert (spent, to_come) == (6, 8)  # of 56: $0.20 and $0.30 of $2.00


def test_colour_changes_no_text() -> None:
    import re

    plain, coloured = (drawn(watched(), Page(80, 24), color=color) for color in (False, True))
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


@pytest.mark.parametrize(("width", "height"), [*SIZES, (1, 1), (2, 40), (35, 3), (300, 4)])
def test_whatever_a_store_says_the_screen_stays_whole(width: int, height: int) -> None:
    """Hostile text, extreme numbers, and nothing at all."""
    odd = {
        "message": EVIL * 40, "said": EVIL + "\n\n日本語" * 100, "loss": 1e38, "best_value": -1e38,
        "step": 999_999_999, "max_steps": 999_999_999, "eta_seconds": 1e9, "work": None,
        "updated_at": NOW + timedelta(days=900),
    }  # fmt: skip
    infra = {"infra": EVIL * 9, "gpus": "日本" * 99}
    for shown in (
        watched(odd, **infra),
        replace(watched(odd), checks=((0, 1e38), (1, -1e38)), remark=EVIL),
        Watched(view_run(record(estimate={}), None, None, InstanceView(), NOW)),
        Watched(view_run(record(), status(max_steps=0, step=0), result(), InstanceView(), NOW)),
    ):
        lines = screen_lines(shown, NOW, Page(width, height))
        assert len(lines) <= height
        assert max(line.cell_len for line in lines) <= width
        assert not {"\x1b", "\n", "\r"} & set("".join(line.plain for line in lines))


def test_an_earlier_version_s_heartbeat_leaves_out_what_it_does_not_say() -> None:
    silent = {
        "replan": None,
        "stop_forecast": None,
        "work": None,
        "said": None,
        "checks_without_improvement": None,
    }
    text = drawn(watched(silent), Page(80, 24))
    assert "best      4.4000 at step 900\n" in text
    assert not [
        word for word in ("patience", "ends at", "work  ", "re-planned", "worth") if word in text
    ]
