"""Finds text that is unusual for speech: digits, abbreviations, and other scripts."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from fintts_inputs.data.suspicions import shown, suspicions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DIGITS = re.compile(r"\d[\d.,:/]*")
_VOWEL = re.compile("[aeiouyåäöæøõüéèаеиоуыэюяё]", re.I)
_CAPITALS = re.compile(r"\b[^\W\d_]{2,5}\b")
_SHORTENED = re.compile(r"\b[^\W\d_]{1,4}\.(?=\s+[^\W\d_])")
"""a short word with a full stop inside a sentence: `esim. näin`"""


def odd_wording(text: str) -> Iterator[str]:
    """The warnings about a text; each continues a sentence that starts with its file."""
    yield from suspicions(text)
    if found := _DIGITS.search(text):
        yield f"has the digits {shown(found[0])}; write them out as spoken"
    if short := _abbreviation(text):
        yield f"holds {shown(short)}, which may be an abbreviation; write it out as spoken"


def _abbreviation(text: str) -> str:
    """The first short word before a full stop inside a sentence, or word in capitals."""
    for found in _SHORTENED.finditer(text):
        goes_on = text[found.end() :].lstrip()[:1].islower()
        if goes_on or not _VOWEL.search(found[0]):
            return found[0]
    if text.isupper():
        return ""
    capitals = (found[0] for found in _CAPITALS.finditer(text) if found[0].isupper())
    return next(capitals, "")


def script_of(text: str) -> str:
    """The script of most letters, by its name in Unicode; empty if there are none."""
    scripts = Counter(
        unicodedata.name(letter, "").split(" ")[0] for letter in text if letter.isalpha()
    )
    return max(sorted(scripts), key=scripts.__getitem__, default="")


def usual_script(texts: Iterable[str]) -> str:
    """The script of most texts."""
    counts = Counter(filter(None, map(script_of, texts)))
    return max(sorted(counts), key=counts.__getitem__, default="")
