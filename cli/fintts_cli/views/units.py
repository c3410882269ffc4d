"""Numbers with their units, in the form that every view uses."""

from __future__ import annotations

import math
from datetime import UTC
from typing import TYPE_CHECKING

from fintts_cost.money import NOTHING, SECONDS_PER_HOUR, dollars

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from decimal import Decimal

    from fintts_cost.estimate.inputs import EstimateInput


def counted(count: int, one: str) -> str:
    """1 step, 2 steps, 1,000 steps"""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"


def duration(seconds: float | None) -> str:
    """4 h 26 min, 3 min 05 s, 12.3 s"""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def size(count: int) -> str:
    """47.0 MB: decimal units, as clouds bill them."""
    amount, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def value(number: float | None) -> str:
    """A loss or an accuracy, to four decimals."""
    if number is None:
        return NOTHING
    return f"{number:.4f}" if abs(number) < 1e9 else f"{number:.4g}"


def share(part: float) -> str:
    """41 %; 0.4 % below one"""
    percent = 100 * part
    return f"{percent:.1f} %" if 0 < percent < 1 else f"{percent:,.0f} %"


def moment(when: datetime | None, now: datetime) -> str:
    """10:00 UTC, as in logs and on instances, with the date if it is not today."""
    if when is None:
        return NOTHING
    there, today = when.astimezone(UTC), now.astimezone(UTC).date()
    return f"{there:%H:%M} UTC" if there.date() == today else f"{there:%Y-%m-%d %H:%M} UTC"


def clock(moment: datetime | None) -> str:
    """11-23 09:20:00, in UTC; – if unknown."""
    return NOTHING if moment is None else f"{moment.astimezone(UTC):%m-%d %H:%M:%S}"


def signed(seconds: float | None) -> str:
    """+12.0 s, -3 min 05 s"""
    if seconds is None:
        return NOTHING
    return f"{'+' if seconds >= 0 else '-'}{duration(abs(seconds))}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Columns two spaces apart; the first `left` are aligned left, the others right."""
    return "\n".join(columns(header, rows, "l" * left + "r" * (len(header) - left)))


def columns(header: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> Iterator[str]:
    """Columns two spaces apart, each aligned left (l) or right (r)."""
    lines = [tuple(header), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(line, widths, align, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def at_most(amount: Decimal, *, is_at_most: bool) -> str:
    """$3.60, or at most $3.60."""
    return f"at most {dollars(amount)}" if is_at_most and amount > 0 else dollars(amount)


def rough_dollars(usd: float) -> str:
    """$2.30, $5, $0.023, $130: two significant digits, as a forecast deserves."""
    if usd <= 0:
        return "$0"
    digits = 1 - math.floor(math.log10(usd))
    rounded = round(usd, digits)
    if rounded >= 10 or (rounded >= 1 and rounded == int(rounded)):
        return f"${rounded:,.0f}"
    return f"${rounded:.{max(digits, 2)}f}"


def rough_duration(seconds: float) -> str:
    """45 s, 26 min, 4.4 h, 120 h: two significant digits"""
    if round(seconds) < 60:
        return f"{seconds:.2g} s"
    if round(seconds / 60) < 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / SECONDS_PER_HOUR
    return f"{hours:.1f} h" if hours < 9.95 else f"{float(f'{hours:.2g}'):,.0f} h"


def step_seconds(given: EstimateInput) -> str:
    """0.5 s, or 0.16 s (0.10 to 5.4 s) for a pace that is not known."""
    if given.pace.is_exact:
        return f"{given.pace.likely:g} s"
    low, likely, high = map(significant, given.pace)
    return f"{likely} s ({low} to {high} s)"


def significant(value: float) -> str:
    """0.16, 5.4, 24, 130: two significant digits, never an exponent."""
    if value == 0:
        return "0"
    digits = 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.{max(digits, 0)}f}"
