"""Common mistakes in YAML, each with its own sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from fintts_cli.settings.given import SECRET_KEYS
from fintts_store.output.redaction import GONE, without_secrets

if TYPE_CHECKING:
    from collections.abc import Collection

    import yaml

SHOWN_CHARACTERS = 60


class Slip(NamedTuple):
    """A wrong line: `fintts.yaml:LINE: SENTENCE`, and the fix."""

    line: int
    """from 1"""
    sentence: str
    hint: str


TAB = "found character '\\t'"
SENTENCES: tuple[tuple[str, str, str], ...] = (
    (TAB, "there is a tab where YAML allows only spaces", "indent by two spaces"),
    (
        "that cannot start any token",
        "a value starts with a character that YAML reserves",
        "put the value in quotes",
    ),
    (
        "mapping values are not allowed here",
        "the line has a second colon, or is indented too far",
        "put a value with a colon in quotes, and align the keys of a section",
    ),
    ("could not find expected ':'", "a line has no colon", "write each line as `key: value`"),
    ("end of stream", "a quote or bracket is never closed", "close it"),
    ("expected ',' or", "a bracket is never closed, or a comma is missing", "write [a, b]"),
    (
        "expected <block end>",
        "the indentation changes within a section",
        "align the keys of a section, indented by two spaces",
    ),
)
"""part of PyYAML's message → its meaning, and the fix"""
OTHERWISE = "write a colon and a space after each key, and indent sections by two spaces"

GLUED = re.compile(r"\s*(?P<name>[A-Za-z_][\w.]*):(?P<rest>[^\s:/][^#]*)")
EQUALS = re.compile(r"\s*(?P<name>[A-Za-z_][\w.]*)\s*=\s*(?P<rest>[^\s#][^#]*)")
PUNCTUATION = (
    (GLUED, "has no space after the colon"),
    (EQUALS, "has an equals sign where YAML needs a colon and a space"),
)
BRACES = re.compile(r"\{\{|\{%")
TEMPLATE = (
    "there is an unexpanded template (`{{ }}`)",
    "write the value itself; fintts expands no templates",
)


def cut(text: str) -> str:
    """The start of a text that may be long; half a secret would not be known as one."""
    text = without_secrets(text)
    count = len(text)
    if count <= SHOWN_CHARACTERS:
        return text
    return f"{text[:SHOWN_CHARACTERS]}… ({count:,} characters)"


def short(text: str) -> str:
    """The start of a text, in backquotes."""
    return f"`{cut(text)}`"


def slip_of(error: yaml.MarkedYAMLError, text: str, names: Collection[str]) -> Slip:
    """The meaning of the parser's error.

    Args:
        names: keys and sections, for a colon without a space after it.
    """
    line = error.problem_mark.line + 1 if error.problem_mark else 1
    glued = glued_line(text, line, names)
    if glued is not None:
        return glued
    if BRACES.search("".join(text.split("\n")[line - 1 : line])):
        return Slip(line, *TEMPLATE)
    said = error.problem or error.context or ""
    for part, sentence, hint in SENTENCES:
        if part in said:
            return Slip(line, f"is not YAML: {sentence}", hint)
    return Slip(line, f"is not YAML: {said}", OTHERWISE)


def glued_line(text: str, last: int, names: Collection[str]) -> Slip | None:
    """The first line, up to `last`, that separates a key from its value in a way that is not
    YAML."""
    for number, line in enumerate(text.split("\n")[:last], 1):
        for spelling, sentence in PUNCTUATION:
            found = spelling.match(line)
            if found is not None and found["name"] in names:
                written, value = line.strip(), found["rest"].strip()
                if found["name"] in SECRET_KEYS:
                    written, value = line[: found.start("rest")].strip() + GONE, GONE
                fixed = f"{found['name']}: {value}"
                return Slip(number, f"{short(written)} {sentence}", f"write {short(fixed)}")
    return None
