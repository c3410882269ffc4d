"""Finnish numbers in words, as num2words spells them, in the case that an ending names.

What has several readings stays as it is: dates, ranges, clock times without `klo`, telephone
numbers, whatever begins with 0, and digits beside letters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from num2words import num2words

if TYPE_CHECKING:
    from collections.abc import Iterator

NOMINATIVE, GENITIVE, PARTITIVE = "nominative", "genitive", "partitive"
CASES = {
    **dict.fromkeys(("n", "en", "in"), GENITIVE),
    **dict.fromkeys(("a", "ä", "ta", "tä"), PARTITIVE),
    **dict.fromkeys(("ssa", "ssä"), "inessive"),
    **dict.fromkeys(("sta", "stä"), "elative"),
    **dict.fromkeys(("een", "iin", "aan", "ään", "hin", "seen"), "illative"),
    **dict.fromkeys(("lla", "llä"), "adessive"),
    **dict.fromkeys(("lta", "ltä"), "ablative"),
    "lle": "allative",
    **dict.fromkeys(("na", "nä"), "essive"),
    "ksi": "translative",
}
"""ending after a colon, as in `5:ssä` → case of num2words"""
ORDINALS = {
    "s": NOMINATIVE,
    "nnen": GENITIVE,
    **dict.fromkeys(("tta", "ttä"), PARTITIVE),
    **dict.fromkeys(("nnessa", "nnessä"), "inessive"),
    **dict.fromkeys(("nnesta", "nnestä"), "elative"),
    "nteen": "illative",
    **dict.fromkeys(("nnella", "nnellä"), "adessive"),
    **dict.fromkeys(("nnelta", "nneltä"), "ablative"),
    "nnelle": "allative",
    **dict.fromkeys(("ntena", "ntenä"), "essive"),
    "nneksi": "translative",
}
"""likewise of an ordinal, as in `5:nnen`"""
UNITS = {"%": ("prosentti", "prosenttia"), "€": ("euro", "euroa")}
"""sign after a number → the word after one, and after any other number"""
MOST_DIGITS = 12
"""a longer number is a code, which nobody reads as one number"""

_THIN = "[ \u00a0\u202f\u2009]"
_NUMBER = re.compile(
    rf"""(?<![\w.,:/–—-])(?<!\d{_THIN})   # nothing before it that makes it part of something else
    (?P<minus>[-−])?
    (?P<whole>[1-9]\d{{0,2}}(?:{_THIN}\d{{3}})+(?!\d)|0|[1-9]\d*)
    (?:,(?P<fraction>\d+))?
    (?:(?P<ordinal>\.)(?={_THIN}+[a-zåäö])|:(?P<ending>[a-zåäö]+))?
    (?:{_THIN}?(?P<unit>[%€]))?
    (?!\w|{_THIN}?[%€])(?![.,:/–—−-]\d)(?![:–—−-]\w)(?!{_THIN}\d)""",
    re.VERBOSE,
)
_TIME = re.compile(
    rf"\b(?P<klo>[Kk])lo{_THIN}+(?P<hour>[01]?\d|2[0-3])[.:](?P<minute>[0-5]\d)(?![\w.:,–-]*\d)"
)


class Spelling(NamedTuple):
    """A part of a text, as written and in words."""

    written: str
    words: str


def spelled(text: str) -> tuple[str, tuple[Spelling, ...]]:
    """The text with its numbers in words, and each change, in order."""
    found = sorted(_spellings(text), key=lambda one: one[0])
    parts: list[str] = []
    end = 0
    for start, change in found:
        parts += [text[end:start], change.words]
        end = start + len(change.written)
    return "".join([*parts, text[end:]]), tuple(change for _, change in found)


def _spellings(text: str) -> Iterator[tuple[int, Spelling]]:
    """Where each change begins; none overlaps another."""
    times = list(_TIME.finditer(text))
    for found in times:
        yield found.start(), Spelling(found[0], _time(found))
    for found in _NUMBER.finditer(text):
        within = any(time.start() <= found.start() < time.end() for time in times)
        words = None if within else _number(found)
        if words is not None:
            yield found.start(), Spelling(found[0], words)


def _time(found: re.Match[str]) -> str:
    klo = "Kello" if found["klo"] == "K" else "kello"
    minute = int(found["minute"])
    parts = [klo, _cardinal(int(found["hour"]))]
    if minute:
        parts += ["nolla"] * (minute < 10) + [_cardinal(minute)]
    return " ".join(parts)


def _number(found: re.Match[str]) -> str | None:
    """The number in words; None if it has no single reading."""
    whole = re.sub(r"\D", "", found["whole"])
    if len(whole) > MOST_DIGITS:
        return None
    ending, fraction, unit = found["ending"], found["fraction"], found["unit"]
    minus = "miinus " if found["minus"] else ""
    if fraction is not None:
        is_plain = ending is None and found["ordinal"] is None
        words = f"{_cardinal(int(whole))} pilkku {_decimals(fraction)}"
        return f"{minus}{words}{_unit(unit, is_one=False)}" if is_plain else None
    if ending is not None or found["ordinal"] is not None:
        inflected = _inflected(int(whole), ending)
        return None if inflected is None or unit or minus else inflected
    return f"{minus}{_cardinal(int(whole))}{_unit(unit, is_one=whole == '1')}"


def _inflected(number: int, ending: str | None) -> str | None:
    """An ordinal without an ending; None for an unknown ending."""
    if ending is None:
        return str(num2words(number, lang="fi", to="ordinal"))
    if ending in ORDINALS:
        return str(num2words(number, lang="fi", to="ordinal", case=ORDINALS[ending]))
    if ending in CASES:
        return str(num2words(number, lang="fi", case=CASES[ending]))
    return None


def _cardinal(number: int) -> str:
    return str(num2words(number, lang="fi"))


def _decimals(digits: str) -> str:
    """Digit by digit where a number would lose zeros: 3,05 → nolla viisi."""
    if len(digits) > 2 or digits.startswith("0"):
        return " ".join(_cardinal(int(digit)) for digit in digits)
    return _cardinal(int(digits))


def _unit(sign: str | None, *, is_one: bool) -> str:
    return "" if sign is None else f" {UNITS[sign][0 if is_one else 1]}"
