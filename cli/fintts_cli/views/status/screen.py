"""The screen of `fintts cloud watch`: one run as lines that fit a terminal of any size."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

from fintts_cli.runs.report.replan import replanned
from fintts_cli.runs.report.stored import estimated_usd, rental_of, steps_per_epoch
from fintts_cli.runs.status.checks import monitor_of
from fintts_cli.runs.status.view import AT_WORK
from fintts_cli.views.page import NARROW, Page
from fintts_cli.views.status.curve import plot
from fintts_cli.views.status.runs import phase_in_words, so_far
from fintts_cli.views.status.stop_forecast import cost_in_words, improvement_in_words, step_in_words
from fintts_cli.views.units import duration, moment, share, size, value
from fintts_cost.money import dollars, dollars_of
from fintts_store.runs.records import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from fintts_cli.runs.status.checks import Points
    from fintts_cli.runs.status.view import RunView

LEAST_CURVE, MOST_CURVE = 4, 14
"""lines of the curve, with its axis"""
NOTE_LINES = 3
FRAMES, PLAIN_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "-\\|/"
FRAMES_A_SECOND = 8
SPENT, TO_COME = ("━", "green"), ("╍", "yellow")


@dataclass(frozen=True, slots=True)
class Watched:
    """A run at one moment, with its checks so far."""

    view: RunView
    checks: Points = ()
    remark: str = ""
    """why the run cannot be seen at the moment"""


class Section(NamedTuple):
    """Lines that stand together; the higher `importance` is, the sooner a small page drops them."""

    importance: int
    lines: Sequence[Text]


def screen_lines(shown: Watched, now: datetime, page: Page, seconds: float = 0.0) -> list[Text]:
    """The lines of the screen, at most as many as the page has.

    Args:
        seconds: since a fixed moment; they move the spinner.
    """
    gap = Section(12, [Text()])
    before = [*_head(shown, now, page, seconds), gap, *_progress(shown.view, page), gap]
    after = [
        *_outlook(shown.view, page),
        gap,
        *_money(shown.view, now, page),
        *_work(shown.view, page),
        gap,
        *_words(shown, page),
    ]
    height = page.height - LEAST_CURVE if len(shown.checks) > 1 else page.height
    above, below = _fitting(before, after, max(height, 1))
    left = page.height - len(above) - len(below)
    return _without_double_gaps([*above, *_curve(shown, page, left), *below])[: page.height]


def _without_double_gaps(lines: Sequence[Text]) -> list[Text]:
    return [line for line, next_one in pairwise([*lines, Text()]) if line or next_one]


def _fitting(
    before: Sequence[Section], after: Sequence[Section], height: int
) -> tuple[list[Text], list[Text]]:
    """The lines of the most important sections, in their order."""
    left, taken = height, set[int]()
    sections = [*before, *after]
    for place in sorted(range(len(sections)), key=lambda place: sections[place].importance):
        if len(sections[place].lines) <= left:
            taken.add(place)
            left -= len(sections[place].lines)
    kept = [section.lines if i in taken else () for i, section in enumerate(sections)]
    above, below = kept[: len(before)], kept[len(before) :]
    return [line for part in above for line in part], [line for part in below for line in part]


def _head(shown: Watched, now: datetime, page: Page, seconds: float) -> Iterator[Section]:
    view = shown.view
    name = page.joined((view.run, view.infra, view.gpus), page.width)
    yield Section(1, [page.line(name, "bold")])
    parts = [phase_in_words(view), _clock(view, now), _heard(view, now)]
    life = " " if view.has_ended else f"{_frame(page, seconds)} "
    line = Text(life, style="cyan", no_wrap=True)
    words = page.joined((part for part in parts if part), page.width - len(life))
    line.append(words, style=_style_of(view)).truncate(page.width, overflow="crop")
    yield Section(0, [line])


def _frame(page: Page, seconds: float) -> str:
    frames = FRAMES if page.encoding.lower().startswith("utf") else PLAIN_FRAMES
    return frames[int(seconds * FRAMES_A_SECOND) % len(frames)]


def _style_of(view: RunView) -> str:
    if view.phase == Phase.FAILED or view.is_silent:
        return "bold red"
    return "bold green" if view.phase in (*AT_WORK, Phase.DONE) else "bold yellow"


def _clock(view: RunView, now: datetime) -> str:
    """How long the phase has lasted; from training on, how long ago the run was requested."""
    if view.has_ended:
        return ""
    if view.phase in (Phase.PENDING, Phase.PROVISIONING):
        return _since(view.started_at, now)
    if view.phase == Phase.SETUP:
        up_at = view.bill.spans[-1].up_at if view.bill.spans else None
        heard = view.heartbeat.started_at if view.heartbeat else None
        return _since(up_at or heard or view.started_at, now)
    return f"{_since(view.started_at, now)} since the request"


def _heard(view: RunView, now: datetime) -> str:
    if view.updated_at is None or view.has_ended:
        return ""
    return f"heard {_since(view.updated_at, now)} ago"


def _since(then: datetime, now: datetime) -> str:
    """The time between two moments; 0 s if two clocks disagree on their order."""
    seconds = max((now - then).total_seconds(), 0.0)
    return f"{seconds:.0f} s" if seconds < 60 else duration(seconds)


def _progress(view: RunView, page: Page) -> Iterator[Section]:
    if not view.max_steps:
        return
    count = f"{view.step:,}/{view.max_steps:,}"
    if page.width < NARROW:
        yield Section(2, [page.labelled("step", [count])])
    else:
        done = min(view.step / view.max_steps, 1.0)
        yield Section(2, [page.bar("steps", [(done, SPENT)], count)])
    parts = list(_pace(view))
    if parts:
        yield Section(6, [page.labelled("", parts)])


def _pace(view: RunView) -> Iterator[str]:
    if view.eta_seconds:
        yield f"{duration(view.eta_seconds)} to go"
    yield from _epochs(view)
    if view.loss is not None:
        yield f"loss {value(view.loss)}"
    if view.seconds_per_step:
        yield f"{view.seconds_per_step:.3g} s a step"


def _epochs(view: RunView) -> Iterator[str]:
    each = steps_per_epoch(view.record)
    if each is not None:
        yield f"epoch {view.step / each:.1f} of {view.max_steps / each:.1f}"


def _curve(shown: Watched, page: Page, left: int) -> list[Text]:
    """The checks as a plot, in the lines that are left."""
    height = min(left, MOST_CURVE) - 1
    if height < LEAST_CURVE - 1 or len(shown.checks) < 2:
        return []
    width = page.width - page.indent - _margin(shown.checks)
    if width < 4:
        return []
    lines = plot(shown.checks, width=width, height=height, stretched=True)
    labels = [monitor_of(shown.view.record), *[""] * len(lines)]
    return [
        page.labelled(label if page.indent else "", [line], "cyan")
        for label, line in zip(labels, lines, strict=False)
    ]


def _margin(points: Points) -> int:
    """Columns of the values beside a plot."""
    return max(len(f"{number:.4f}") for _, number in points) + 2


def _outlook(view: RunView, page: Page) -> Iterator[Section]:
    if view.best_step is not None:
        parts = [f"{value(view.best_value)} at step {view.best_step:,}"]
        yield Section(4, [page.labelled("best", [*parts, *_patience(view)])])
    if view.stop_forecast is not None:
        parts = [step_in_words(view.stop_forecast), cost_in_words(view.stop_forecast)]
        yield Section(5, [page.labelled("ends at", [part for part in parts if part])])
        yield Section(10, [page.labelled("worth", improvement_in_words(view.stop_forecast))])


def _patience(view: RunView) -> Iterator[str]:
    count = view.heartbeat and view.heartbeat.checks_without_improvement
    if count is not None and view.patience is not None:
        yield f"patience {count} of {view.patience}"


def _money(view: RunView, now: datetime, page: Page) -> Iterator[Section]:
    parts = [f"{so_far(view)} so far"]
    if view.cost_to_finish_usd and not view.has_ended:
        parts.append(f"{dollars(view.cost_to_finish_usd)} to go")
    budget = view.record.budget_usd
    if budget is not None and page.width < NARROW:
        parts.append(f"budget {dollars(budget)}")
    yield Section(3, [page.labelled("cost", parts)])
    if planned := list(_planned(view)):
        yield Section(10, [page.labelled("planned", planned)])
    if budget and page.width >= NARROW:
        spent = float(view.cost_so_far_usd / budget)
        to_go = 0.0 if view.has_ended else float((view.cost_to_finish_usd or 0) / budget)
        shares = [(spent, SPENT), (to_go, TO_COME)]
        yield Section(8, [page.bar("budget", shares, f"{share(spent)} of {dollars(budget)}")])
    if not view.has_ended:
        ends = [moment(view.deadline_at, now), f"in {_until(view.deadline_at, now)}"]
        yield Section(7, [page.labelled("deadline", ends)])


def _planned(view: RunView) -> Iterator[str]:
    """What the whole run should cost: as estimated before it began, and as re-planned."""
    estimate = estimated_usd(rental_of(view.record, view.gpus))
    if estimate is not None:
        yield f"estimated {dollars(estimate)}"
    plan = replanned(view)
    if plan is not None:
        low, likely, high = map(dollars_of, plan.usd)
        yield f"re-planned {likely} ({low}–{high}) to step {view.max_steps:,}"


def _until(then: datetime, now: datetime) -> str:
    return duration(max((then - now).total_seconds(), 0.0))


def _work(view: RunView, page: Page) -> Iterator[Section]:
    heartbeat = view.heartbeat
    if heartbeat is None:
        return
    committed = heartbeat.last_committed_step
    saved = "no checkpoint yet" if committed is None else f"checkpoint of step {committed:,}"
    yield Section(9, [page.labelled("saved", [saved])])
    parts = list(_device(view))
    if parts and not view.has_ended:
        yield Section(10, [page.labelled("work", parts)])


def _device(view: RunView) -> Iterator[str]:
    work = view.heartbeat and view.heartbeat.work
    if not work:
        return
    if work.mfu is not None:
        yield f"MFU {share(work.mfu)}"
    if work.gpu_utilisation is not None:
        yield f"GPU {share(work.gpu_utilisation)} busy"
    if work.memory_peak_bytes is not None:
        peak = size(round(work.memory_peak_bytes))
        whole = work.gpu_memory_bytes
        yield f"memory {peak}" + (f" of {size(round(whole))}" if whole else "")
    if work.tokens_per_second is not None:
        yield f"{work.tokens_per_second:,.0f} tokens/s"


def _words(shown: Watched, page: Page) -> Iterator[Section]:
    view = shown.view
    notes = [note for note in (shown.remark, view.message) if note]
    lines = [line for note in notes for line in page.wrapped(note, "yellow", NOTE_LINES)]
    if lines:
        yield Section(3, lines)
    said = view.heartbeat and view.heartbeat.said
    if said and not view.has_ended:
        yield Section(11, [page.line(said, "dim")])
    if not view.has_ended:
        yield Section(13, [page.line("Ctrl-C leaves the run running", "dim italic")])
