"""Finds what looks wrong in a transcript or name: lost, garbled or invisible characters.

None of it prevents training: a model would learn the text as it is.
"""

from __future__ import annotations

import json
import re
import unicodedata
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOWN_CHARACTERS = 40

_WEST = re.compile("[\u00c0-\u017f]+")
_PLAUSIBLE = re.compile(
    "[\u00a0-\u024f\u0300-\u04ff\u0590-\u06ff\u0900-\u0fff\u1e00-\u206f\u20a0-\u20cf\u2100-\u214f"
    "\u3000-\u9fff\uac00-\ud7a3\ufe0f\U0001f000-\U0001faff]+"
)
_CYRILLIC = re.compile("[\u0400-\u04ff]+")
MISREAD_AS = {
    "cp1252": _PLAUSIBLE,
    "latin-1": _PLAUSIBLE,
    "mac-roman": _WEST,
    "cp437": _WEST,
    "cp850": _WEST,
    "cp1251": _CYRILLIC,
}
"""Encodings that UTF-8 is misread as, with the characters that show a misreading."""
_HOLES_OF_CP1252 = "\x81\x8d\x8f\x90\x9d"
"""which decoders fill as in Latin-1"""
_CAPITAL_AND_MARK = re.compile(r"(?!Ã)[^\W\d_][…–—‘’“”„‚‹›](?!\w)")
"""the end of `HYVÄ…` would be the bytes of a letter, too"""
_BENT = re.compile(
    "[ÃÂ][\x80-\xbf]"  # ä, ö and similar letters misread as Latin-1
    "|(?<=[a-zà-öø-ÿ])[ÃÂ]."  # a capital within a word
    "|Ã[\u0152-\u2122](?=\\w)"  # Ä and Ö misread as Windows-1252
    "|â[\x80\u20ac][\x80-\xbf\u0152-\u2122]"  # quotes and dashes
    "|ð[\u0178\x9f]"  # emoji
)
_ESCAPED = re.compile(
    r"&(?:#\d+|#x[0-9a-f]+|[a-z]+\d?);|\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|(?:%[89a-f][0-9a-f]){2}"
    # Quoted-printable: UTF-8 has several bytes; a single one of Latin-1 counts only within a word,
    # because `x=20` is ordinary text.
    r"|(?-i:(?:=[89A-F][0-9A-F]){2,}|(?<=[a-z])=[89A-F][0-9A-F](?=[a-z]))",
    re.I,
)
_QUESTION_MARK = re.compile(r"(?:([^\W\d_])|(?<![^(“„-]))\?+([^\W\d_]+)")
"""one before a letter, with the letter before it, if any, and the letters after it"""
_CONTROL = re.compile(r"<\|[^\s<>|]+\|>")
_MARKUP = re.compile(r"<!--|</?[a-z][\w:-]*(?:\s*/?|\s+[\w:-]+=[^<>]*)>", re.I)
"""attributes need an equals sign: `a <b and c> d` is ordinary text"""

LOST, BOM = "\ufffd", "\ufeff"
JOINERS = "\u200c\u200d"
"""valid between letters of Arabic and Indic scripts, and within emoji"""
DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
ODD_CATEGORIES = {
    "Cc": "a control character",
    "Co": "a character for private use",
    "Cn": "which is not a character",
    "Zl": "a line separator",
    "Zp": "a line separator",
}

ALIKE = ("LATIN", "GREEK", "CYRILLIC")
"""scripts with letters that look the same"""
_FULL_WIDTH = re.compile("[\uff21-\uff3a\uff41-\uff5a]+")
_EAST_ASIAN = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
"""scripts among whose letters full-width ones are usual"""
LIGATURES = range(0xFB00, 0xFB18)
"""of Latin and Armenian letters; œ and æ are letters of their own"""
_WORD = re.compile(r"[^\W\d_]+")


def suspicions(text: str) -> list[str]:
    """What looks wrong, each as words that follow the name of the file.

    Args:
        text: in NFC.
    """
    if (was := _unbent(text)) is not None:
        encoding, meant = was
        return [
            f"looks like UTF-8 that was read as {encoding}: {shown(text)} may be {shown(meant)}"
        ]
    if _is_json(text):
        return ["begins with JSON, not with words"]
    return [
        *_bent(text),
        *_holed_words(text),
        *_tags(text),
        *_odd_characters(text),
        *_full_width(text),
        *_mixed_words(text),
        *_wordless(text),
    ]


def _is_json(text: str) -> bool:
    """Whether the text begins with a JSON object or list that holds text; `[1]` may be a note."""
    if not text.lstrip().startswith(("{", "[")) or '"' not in text:
        return False
    try:
        _, end = json.JSONDecoder().raw_decode(text.lstrip())
    except RecursionError:
        return True
    except ValueError:
        return False
    return '"' in text.lstrip()[:end]


def _bent(text: str) -> Iterator[str]:
    """UTF-8 that was partly read as another encoding, and escape sequences of a program."""
    if found := _BENT.search(text):
        yield f"holds {shown(found[0])}, which looks like UTF-8 that was read as cp1252"
    if found := _ESCAPED.search(text):
        yield f"holds {found[0]}, which may stand for another character"


def _holed_words(text: str) -> Iterator[str]:
    """The first word with a question mark in place of a letter: `k?vely`."""
    for word in text.split():
        if any(_is_hole(found[1] or "", found[2]) for found in _QUESTION_MARK.finditer(word)):
            yield f"holds the word {shown(word)}, whose question mark may replace a lost letter"
            return


def _is_hole(before: str, after: str) -> bool:
    """Whether letters around a question mark are one word: `Mitä?Ei` lacks a space, and a script
    without capitals may use none."""
    if before and not (before.islower() or before.isupper()):
        return False
    return after[0].islower() or ((before or after[1:2]).isupper() and after[0].isupper())


def _tags(text: str) -> Iterator[str]:
    if found := _CONTROL.search(text):
        yield f"holds {shown(found[0])}, which looks like a control token of a model"
    if found := _MARKUP.search(text):
        yield f"holds {shown(found[0])}, which is markup"


def _unbent(text: str) -> tuple[str, str] | None:
    """(encoding, original text) if the whole text is UTF-8 after encoding it again.

    What was misread several times is repaired as often.
    """
    if (once := _unbent_once(text)) is None:
        return None
    encoding, meant = once
    deeper = _unbent(meant)
    return encoding, meant if deeper is None else deeper[1]


def _unbent_once(text: str) -> tuple[str, str] | None:
    """Correct text hardly ever is UTF-8: a single letter beyond ASCII rules it out."""
    if _CAPITAL_AND_MARK.sub("", text).isascii():
        return None
    for encoding, plausible in MISREAD_AS.items():
        try:
            meant = _bytes_of(text, encoding).decode("utf-8")
        except UnicodeError:
            continue
        beyond = "".join(character for character in meant if not character.isascii())
        if plausible.fullmatch(beyond):
            return encoding, meant
    return None


def _bytes_of(text: str, encoding: str) -> bytes:
    if encoding != "cp1252":
        return text.encode(encoding)
    return b"".join(
        character.encode("latin-1" if character in _HOLES_OF_CP1252 else encoding)
        for character in text
    )


def _odd_characters(text: str) -> Iterator[str]:
    """Each kind of character that does not occur in speech, with its first one and their number."""
    found: dict[str, list[str]] = {}
    for before, character in pairwise("\n" + text):
        if kind := _oddness(before, character):
            found.setdefault(kind, []).append(character)
    for kind, characters in found.items():
        code = f"U+{ord(characters[0]):04X} {unicodedata.name(characters[0], '')}".strip()
        more = f", {len(characters)} times" if len(characters) > 1 else ""
        yield f"holds {code}, {kind}{more}"


def _oddness(before: str, character: str) -> str:
    """Why a character is odd; empty if it is not."""
    if character.isascii() and (character.isprintable() or character in "\t\n\r"):
        return ""
    category = unicodedata.category(character)
    if character == LOST:
        return "which replaces a lost character"
    if category.startswith("M") and unicodedata.category(before) in ("Cc", "Zs", "Zl", "Zp"):
        return "an accent without a letter"
    if ord(character) in LIGATURES:
        return "a ligature in place of letters"
    if category == "Cf":
        return _invisibility(before, character)
    return ODD_CATEGORIES.get(category, "")


def _invisibility(before: str, character: str) -> str:
    if character == BOM:
        return "a byte order mark within the text"
    if character in DIRECTIONS:
        return "which changes the direction of the text"
    if character in JOINERS and "LATIN" not in unicodedata.name(before, ""):
        return ""
    return "which is invisible"


def _full_width(text: str) -> Iterator[str]:
    found = _FULL_WIDTH.search(text)
    if found and not _EAST_ASIAN.search(text):
        yield f"holds {shown(found[0])}, whose letters are full-width"


def _mixed_words(text: str) -> Iterator[str]:
    """The first word that mixes look-alike letters of two scripts: `pаha` with a Cyrillic а."""
    for word in _WORD.findall(text):
        scripts = set() if word.isascii() else {_script(letter) for letter in word}
        mixed = [script for script in ALIKE if script in scripts]
        if len(mixed) > 1:
            yield f"holds the word {shown(word)}, whose letters are {' and '.join(mixed)}"
            return


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ")[0]


def _wordless(text: str) -> Iterator[str]:
    if not any(character.isalnum() for character in text):
        yield "has neither a letter nor a digit"


def shown(text: str) -> str:
    """Enough of a text to find it again, without control characters."""
    plain = "".join(letter if letter.isprintable() else "·" for letter in text)
    return f'"{plain}"' if len(plain) <= SHOWN_CHARACTERS else f'"{plain[: SHOWN_CHARACTERS - 1]}…"'
