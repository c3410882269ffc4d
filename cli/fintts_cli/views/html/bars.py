"""The bars of a page, in per cent: the timeline, planned and actual cost, the parts of a step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from fintts_cli.views.html.chart import Placed, Scale
from fintts_cli.views.units import duration
from fintts_cost.money import dollars_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fintts_cli.runs.report.report import RunReport
    from fintts_cost.interval import Interval

TICK_SECONDS = (10, 30, 60, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 604_800)
MOST_TICKS = 6


class Row(NamedTuple):
    """A bar with its label and a figure."""

    label: str
    parts: tuple[Placed, ...]
    figure: str = ""


class Bars(NamedTuple):
    """Bars over one axis."""

    rows: tuple[Row, ...]
    ticks: tuple[Placed, ...] = ()


def timeline_of(report: RunReport) -> Bars | None:
    """Each instance with its phases; None without one."""
    stretches = [one for instance in report.instances for one in instance.stretches]
    if not stretches:
        return None
    first = min(one.began for one in stretches)
    last = max(one.ended for one in stretches)
    x = Scale(0.0, max((last - first).total_seconds(), 1.0))

    def place(at: datetime) -> float:
        return x.place((at - first).total_seconds())

    rows = tuple(
        Row(
            f"instance {number}" + (f", {instance.gpus}" if instance.gpus else ""),
            tuple(
                Placed(
                    one.phase,
                    f"{one.phase}: {duration((one.ended - one.began).total_seconds())}",
                    place(one.began),
                    width=place(one.ended) - place(one.began),
                )
                for one in instance.stretches
            ),
        )
        for number, instance in enumerate(report.instances, 1)
    )
    return Bars(rows, tuple(_clock_ticks(first, last, x)))


def _clock_ticks(first: datetime, last: datetime, x: Scale) -> Iterator[Placed]:
    """Round times of the day, in UTC."""
    whole = (last - first).total_seconds()
    fitting = [each for each in TICK_SECONDS if whole / each <= MOST_TICKS]
    every = fitting[0] if fitting else whole
    form = "%H:%M:%S UTC" if every < 60 else "%H:%M UTC" if whole < 172_800 else "%m-%d %H:%M UTC"
    at = (first.timestamp() // every + 1) * every
    while at <= last.timestamp():
        moment = datetime.fromtimestamp(at, UTC)
        yield Placed("tick", f"{moment:{form}}", x.place((moment - first) / timedelta(seconds=1)))
        at += every


def money_of(report: RunReport) -> Bars:
    """Estimate, re-plan and actual cost on one axis with the budget."""
    plan, cost = report.replan, float(report.cost_usd)
    forecast = None if report.view.has_ended else report.view.cost_to_finish_usd
    to_go = 0.0 if forecast is None else float(forecast)
    planned = [report.estimated_cost_range, None if plan is None else plan.usd]
    ends = [each.high for each in planned if each is not None]
    budget, single = report.budget_usd, report.estimated_cost_usd
    known = [float(each) for each in (budget, single) if each is not None]
    x = Scale(0.0, max([cost + to_go, *ends, *known]) * 1.02 or 1.0)
    rows: list[Row] = []
    if report.estimated_cost_range is not None:
        rows.append(_spread("estimate", report.estimated_cost_range, x))
    elif single is not None:
        rows.append(_single("estimate", float(single), x))
    if plan is not None:
        rows.append(_spread("re-plan", plan.usd, x))
    actual = _single("actual", cost, x)
    if to_go:
        more = dollars_of(to_go)
        part = Placed("to-go", f"to go: {more}", x.place(cost), width=x.place(to_go))
        actual = Row("so far", (*actual.parts, part), f"{dollars_of(cost)} + {more}")
    rows.append(actual)
    if budget is not None:
        rows.append(_single("budget", float(budget), x))
    return Bars(tuple(rows))


def _single(label: str, usd: float, x: Scale) -> Row:
    amount = dollars_of(usd)
    return Row(label, (Placed(label, f"{label}: {amount}", width=x.place(usd)),), amount)


def _spread(label: str, usd: Interval, x: Scale) -> Row:
    """From low to high, with a mark at the likely one."""
    low, likely, high = map(x.place, usd)
    least, most_likely, most = map(dollars_of, usd)
    text = f"{label}: {least} to {most}, most likely {most_likely}"
    return Row(
        label,
        (
            Placed("spread", text, low, width=max(high - low, 0.5)),
            Placed("mark", text, likely),
        ),
        f"{least} – {most}",
    )


def step_of(report: RunReport) -> Bars | None:
    """The parts of a step, one after the other."""
    step = report.step
    if step is None:
        return None
    left, parts = 0.0, list[Placed]()
    for place, (part, seconds) in enumerate(step.parts.items()):
        width = round(100 * max(seconds, 0.0) / step.seconds, 2)
        text = f"{part}: {1000 * seconds:,.1f} ms, {seconds / step.seconds:.1%}"
        parts.append(Placed(f"part-{place}", text, left, width=min(width, 100 - left)))
        left = min(left + width, 100.0)
    return Bars((Row("step", tuple(parts), f"{step.seconds:.3g} s"),))
