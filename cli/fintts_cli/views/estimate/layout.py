"""Layout and numbers of an estimate's text."""

from __future__ import annotations

from decimal import Decimal
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

WIDTH = 78
MB = 10**6


def heading(name: str) -> tuple[str, str]:
    return "", f"── {name} ".ljust(WIDTH, "─")


def indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" if line else "" for line in lines]


def hanging(label: str, text: str) -> list[str]:
    """Wrapped lines, indented to the end of the label."""
    room = WIDTH - len("  ")
    return wrap(text, room, initial_indent=label, subsequent_indent=" " * len(label))


def bullet(note: str) -> list[str]:
    return wrap(note, WIDTH, initial_indent="  · ", subsequent_indent="    ")


def number(value: Decimal | float, places: int = 2) -> str:
    """At most `places` decimals, without trailing zeros: 11.2, 15,120, 47.62."""
    text = f"{Decimal(str(value)):,.{places}f}"
    return text.rstrip("0").rstrip(".")


def seconds(value: Decimal | float) -> str:
    return f"{number(value, 4)} s"


def digits(value: Decimal) -> str:
    """Four significant digits, never an exponent: 0.0002375."""
    return f"{Decimal(f'{value:.4g}').normalize():f}"


def amount(value: Decimal) -> str:
    """An amount with at least two decimals: 1.20, and 0.4375 in full."""
    exponent = value.normalize().as_tuple().exponent
    decimals = max(2, -exponent) if isinstance(exponent, int) else 2
    return f"{value:,.{decimals}f}"


def megabytes(count: int) -> str:
    return f"{number(Decimal(count) / MB)} MB"


def gigabytes(count: int) -> str:
    """A size in gigabytes, or in megabytes for a small model, since 0.0 GB says nothing."""
    if count < 1000 * MB:
        return megabytes(count)
    return f"{Decimal(count) / (1000 * MB):,.1f} GB"
