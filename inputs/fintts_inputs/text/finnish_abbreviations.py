"""Finnish abbreviations in words, where they have one reading."""

from __future__ import annotations

import re

from fintts_inputs.text.finnish_numbers import Spelling

ABBREVIATIONS = {
    "esim.": "esimerkiksi",
    "mm.": "muun muassa",
    "ym.": "ynnä muuta",
    "yms.": "ynnä muuta sellaista",
    "jne.": "ja niin edelleen",
    "ks.": "katso",
    "vrt.": "vertaa",
    "ts.": "toisin sanoen",
    "n.": "noin",
    "klo": "kello",
    "nro": "numero",
    "prof.": "professori",
}
"""in lower case, with their full stop"""
_SHORT = re.compile(
    r"""(?<![\w.])(?:
    (?<!\d\s)(?P<word>esim|mm|ym|yms|jne|ks|vrt|ts|prof)\.     # 5 mm. is a length
    | (?P<about>n)\.(?=\s?[\d−-])
    | (?P<time>klo|nro)(?!\s\d{1,2}[.:]\d\d)\b                 # a time of day is read as a whole
    )""",
    re.VERBOSE | re.IGNORECASE,
)


def expanded(text: str) -> tuple[str, tuple[Spelling, ...]]:
    """The text with its abbreviations in words, and each change, in order."""
    changes: list[Spelling] = []

    def words(found: re.Match[str]) -> str:
        written = found[0]
        said = ABBREVIATIONS[written.lower()]
        is_last = written.endswith(".") and not text[found.end() :].strip()
        said = said[0].upper() + said[1:] if written[0].isupper() else said
        changes.append(Spelling(written, said + "." * is_last))
        return changes[-1].words

    return _SHORT.sub(words, text), tuple(changes)
