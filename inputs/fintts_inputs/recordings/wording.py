"""What is odd about a text as speech: digits and abbreviations, and a script that is not the
corpus's."""

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
"""a short word with a full stop within the sentence: `esim. näin`"""


def odd_wording(text: str) -> Iterator[str]:
    """What looks wrong in a text, each as words that follow the name of its file."""
    yield from suspicions(text)
    if found := _DIGITS.search(text):
        yield f"has the digits {shown(found[0])}; write them out as spoken"
    if short := _abbreviation(text):
        yield f"holds {shown(short)}, which may be an abbreviation; write it out as spoken"


def _abbreviation(text: str) -> str:
    """The first one: short words before a full stop that ends no sentence, and capitals."""
    for found in _SHORTENED.finditer(text):
        goes_on = text[found.end() :].lstrip()[:1].islower()
        if goes_on or not _VOWEL.search(found[0]):
            return found[0]
    if text.isupper():
        return ""
    capitals = (found[0] for found in _CAPITALS.finditer(text) if found[0].isupper())
    return next(capitals, "")


def script_of(text: str) -> str:
    """The script of most letters, in Unicode's words; empty without any."""
    scripts = Counter(
        unicodedata.name(letter, "").split(" ")[0] for letter in text if letter.isalpha()
    )
    return max(sorted(scripts), key=scripts.__getitem__, default="")


def usual_script(texts: Iterable[str]) -> str:
    """The script that most texts are in."""
    counts = Counter(filter(None, map(script_of, texts)))
    return max(sorted(counts), key=counts.__getitem__, default="")
