"""A chart of lines over steps: its geometry in per cent of the plot, which a template draws.

The lines are an SVG that stretches with its box. Labels and dots must not stretch: they are
placed over it in per cent, so that a chart stays sharp and readable on a phone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fintts_cli.runs.status.checks import Points

MOST_POINTS = 240
"""of a line; more would be finer than the pixels"""
UNITS = 1000
"""of the SVG's own coordinates, in both directions"""
TICKS = 5
DIGITS = 6


class Line(NamedTuple):
    """A series of values."""

    name: str
    kind: str
    """a class of the style sheet"""
    points: Points


class Mark(NamedTuple):
    """Something at a step, or from one step to another."""

    kind: str
    text: str
    first: float
    last: float | None = None


class Level(NamedTuple):
    """A value to compare with."""

    text: str
    value: float


class Placed(NamedTuple):
    """A label, a dot or a band, in per cent from the left and from the top."""

    kind: str
    text: str
    left: float = 0.0
    top: float = 0.0
    width: float = 0.0


class DrawnLine(NamedTuple):
    """A line as a path, and its points for the readout at the pointer."""

    name: str
    kind: str
    path: str
    points: list[tuple[int, float]]


class Chart(NamedTuple):
    """Everything that the template needs."""

    title: str
    lines: tuple[DrawnLine, ...]
    dots: tuple[Placed, ...]
    bands: tuple[Placed, ...]
    levels: tuple[Placed, ...]
    x_ticks: tuple[Placed, ...]
    y_ticks: tuple[Placed, ...]
    last_step: float

    @property
    def legend(self) -> list[tuple[str, str]]:
        """(kind, text) of everything that is drawn, without repetition."""
        lines = [(line.kind, line.name) for line in self.lines]
        dots = [(dot.kind, dot.text.partition(":")[0]) for dot in self.dots]
        return [*dict.fromkeys([*lines, *dots])]


class Scale(NamedTuple):
    """From values to per cent."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """0 at the low end, 100 at the high end; what lies outside is at the nearer end."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 2)


def chart(
    title: str,
    lines: Sequence[Line],
    *,
    last_step: float | None = None,
    dots: Iterable[tuple[str, str, int, float]] = (),
    bands: Iterable[Mark] = (),
    levels: Sequence[Level] = (),
) -> Chart | None:
    """A chart; None if no line has two points.

    Args:
        last_step: where the plot ends; by default at the last point.
        dots: (kind, text, step, value).
        levels: shown only near the lines.
    """
    kept = [Line(one.name, one.kind, thinned(one.points)) for one in lines if len(one.points) > 1]
    if not kept:
        return None
    steps = [step for line in kept for step, _ in line.points]
    x = Scale(0.0, float(max([*steps, last_step or 0, 1])))
    y = _value_scale([value for line in kept for _, value in line.points], levels)
    return Chart(
        title=title,
        lines=tuple(_drawn(line, x, y) for line in kept),
        dots=tuple(
            Placed(kind, text, x.place(step), 100 - y.place(value))
            for kind, text, step, value in dots
        ),
        bands=tuple(_band(mark, x) for mark in bands),
        levels=tuple(
            Placed("level", level.text, top=100 - y.place(level.value))
            for level in levels
            if y.low <= level.value <= y.high
        ),
        x_ticks=tuple(
            Placed("tick", f"{round(tick):,}" if tick else "step 0", left=x.place(tick))
            for tick in ticks(x.low, x.high)
        ),
        y_ticks=tuple(
            Placed("tick", f"{tick:.{DIGITS}g}", top=100 - y.place(tick))
            for tick in ticks(y.low, y.high)
        ),
        last_step=x.high,
    )


def _value_scale(values: Sequence[float], levels: Sequence[Level]) -> Scale:
    """Room for the lines, and for a level that is not far from them."""
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0
    near = [level.value for level in levels if low - span / 2 <= level.value <= high + span / 2]
    low, high = min([low, *near]), max([high, *near])
    return Scale(low - span / 20, high + span / 20)


def _band(mark: Mark, x: Scale) -> Placed:
    left = x.place(mark.first)
    return Placed(mark.kind, mark.text, left, width=x.place(mark.last or mark.first) - left)


def _drawn(line: Line, x: Scale, y: Scale) -> DrawnLine:
    places = [
        (x.place(step) * UNITS / 100, UNITS - y.place(value) * UNITS / 100)
        for step, value in line.points
    ]
    path = "M" + "L".join(f"{left:.0f} {top:.0f}" for left, top in places)
    points = [(step, float(f"{value:.{DIGITS}g}")) for step, value in line.points]
    return DrawnLine(line.name, line.kind, path, points)


def thinned(points: Points) -> Points:
    """At most MOST_POINTS means over stretches of equal length; the last point stays."""
    if len(points) <= MOST_POINTS:
        return points
    first, last = points[0][0], points[-1][0]
    buckets: dict[int, list[tuple[int, float]]] = {}
    for step, value in points[:-1]:
        place = (step - first) * (MOST_POINTS - 1) // max(last - first, 1)
        buckets.setdefault(place, []).append((step, value))
    means = [
        (bucket[len(bucket) // 2][0], sum(value for _, value in bucket) / len(bucket))
        for bucket in buckets.values()
    ]
    return (*means, points[-1])


def ticks(low: float, high: float) -> list[float]:
    """About TICKS round numbers from low to high."""
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    count = math.floor(high / step) - first + 1
    return [(first + place) * step for place in range(max(count, 0))]
