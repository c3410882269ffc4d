"""The kind of value that each setting takes, and one sentence for any other value.

Values are never converted by spelling: true is not 1, and 2.5 is not 2. A text becomes a number
only if YAML's core schema writes a number that way; this is how a variable, or a number in quotes,
becomes one.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Union, cast, get_args, get_origin

from fintts_cli.settings.scalars import MAX_CHARACTERS, scalar
from fintts_cli.settings.yaml_slips import cut, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fintts_cli.settings.given import Given


class Kind(Enum):
    """The kind of value that a key takes, in words."""

    FLAG = "true or false"
    WHOLE = "a whole number"
    NUMBER = "a number"
    TEXT = "a text"
    PATH = "a path"
    LIST = "a list"
    TEXTS = "a text or a list"


TYPES: dict[object, Kind] = {
    bool: Kind.FLAG,
    int: Kind.WHOLE,
    float: Kind.NUMBER,
    Decimal: Kind.NUMBER,
    Path: Kind.PATH,
    tuple: Kind.LIST,
    str: Kind.TEXT,
}
NUMERIC = (Kind.WHOLE, Kind.NUMBER)
TEXTUAL = (Kind.TEXT, Kind.PATH, Kind.TEXTS)


class Taken(NamedTuple):
    """The values that a key takes."""

    kind: Kind
    may_be_null: bool = False
    words: tuple[str, ...] = ()
    """what a flag takes beside true and false: `auto`"""

    @property
    def in_words(self) -> str:
        """`true or false`, `true, false or auto`"""
        *most, last = ["true", "false", *self.words]
        return f"{', '.join(most)} or {last}" if self.words else self.kind.value


class Misread(NamedTuple):
    """Why a value is of the wrong kind: this continues the sentence `KEY takes KIND, but `."""

    sentence: str
    hint: str


EMPTY = Misread("is empty", "set a value, or leave it out")
EMPTY_ITEM = EMPTY._replace(sentence="has an empty item")
ADVICE: tuple[tuple[tuple[Kind, ...], str, str], ...] = (
    ((Kind.FLAG,), r"(?i)yes|y|on|1", "write true"),
    ((Kind.FLAG,), r"(?i)no|n|off|0", "write false"),
    (NUMERIC, r"(?i)yes|no|y|n|on|off|true|false", "write the number itself"),
    (NUMERIC, r"[0-9]+(:[0-9]+)+", "write one number without colons"),
    (NUMERIC, r"[0-9]{4}-[0-9]+-[0-9]+.*", "write a number: this looks like a date"),
    (NUMERIC, r"[0-9.]{100,}", f"a number has at most {MAX_CHARACTERS} digits"),
    (NUMERIC, r"[-+]?[0-9]+,[0-9]{1,2}", "use a decimal point, not a comma"),
    (NUMERIC, r"[-+]?[0-9][0-9_, ']*[0-9](\.[0-9]+)?", "write the digits alone: 16384, not 16_384"),
    (NUMERIC, r".*%", "write 0.05 for 5%"),
    (NUMERIC, r"[$€].*|.*[$€]|.*(?i:usd|eur)", "write the number alone, in US dollars"),
    (NUMERIC, r"[0-9.]+\s*[A-Za-z]+", "write the number without its unit"),
)
"""the kinds, a spelling, and what to write instead"""
TEMPLATE = re.compile(r"\{\{|\}\}|\$\{|\$\(|<%|(^|/)\$[A-Za-z_]")
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
BROKEN = re.compile(r"[\ud800-\udfff]")


def taken_by(annotation: object) -> Taken:
    """The values that a field of this type takes."""
    types = set(plain_types(annotation))
    kind = next(kind for of_type, kind in TYPES.items() if of_type in types)
    words = tuple(_literals(annotation)) if kind is Kind.FLAG else ()
    return Taken(kind, may_be_null=type(None) in types, words=words)


def _literals(annotation: object) -> Iterator[str]:
    """The words that a union takes beside its types."""
    for part in get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ():
        if get_origin(part) is Literal:
            yield from (str(word) for word in get_args(part))


def plain_types(annotation: object) -> Iterator[object]:
    """The plain types in an annotation."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from plain_types(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from plain_types(part)
    elif origin is Literal:
        yield str
    else:
        yield origin or annotation


def taken_for(taken: Taken, given: Given) -> object:
    """The value as its key takes it, or a Misread that says why it is of the wrong kind."""
    value = given.value
    if isinstance(value, str) and not value.strip() and taken.kind not in TEXTUAL:
        return EMPTY
    if taken.kind in (*NUMERIC, Kind.FLAG) and isinstance(value, str):
        meant = scalar(value.strip())
        value = value if meant is None else meant
    if value is None:
        is_said = taken.may_be_null and given.written  # the words null and ~, not nothing at all
        return None if is_said else Misread("has no value", "write one, or remove the line")
    if taken.kind in NUMERIC:
        return _number(taken, value, given)
    if taken.kind is Kind.FLAG:
        is_taken = isinstance(value, bool) or value in taken.words
        return value if is_taken else _misread(taken, value, given)
    return _texts(taken, value, given)


def _number(taken: Taken, value: object, given: Given) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return _misread(taken, value, given)
    if not math.isfinite(value):
        return Misread(f"is {short(_shown(given))}, which is not finite", "write a finite number")
    if taken.kind is Kind.WHOLE:
        if value != int(value):
            return Misread(
                f"is {short(_shown(given))}, which has a fraction", "write a whole number"
            )
        return int(value)
    return value


def _texts(taken: Taken, value: object, given: Given) -> object:
    """A text, a path, or a list of texts; none may be empty."""
    if isinstance(value, Path):
        value = str(value)
    is_list = isinstance(value, list | tuple)
    takes_list = taken.kind in (Kind.LIST, Kind.TEXTS)
    if is_list != takes_list and not (taken.kind is Kind.TEXTS and isinstance(value, str)):
        return _misread(taken, value, given)
    parts = list(cast("list[object]", value)) if is_list else [value]
    if not parts:
        return Misread("is an empty list", "write at least one word, or leave it out")
    for part in parts:
        if not isinstance(part, str):
            return _odd_item(part) if is_list else _misread(taken, part, given)
        if (misread := _bad_text(part, given.written or part, is_list=is_list)) is not None:
            return misread
    return value


def _odd_item(part: object) -> Misread:
    """An item of a list that is no text, such as a year without quotes."""
    if part is None:
        return EMPTY_ITEM
    if isinstance(part, bool | int | float | Decimal):
        shown = cut(str(part).lower() if isinstance(part, bool) else str(part))
        return Misread(
            f"has the item `{shown}`, {_named(part)}",
            f'if you mean the text, put it in quotes: "{shown}"',
        )
    return Misread(f"has an item that is {_named(part)}", "write each item as a text")


def _bad_text(text: str, written: str, *, is_list: bool) -> Misread | None:
    if not text.strip():
        return EMPTY_ITEM if is_list else EMPTY
    if UNSEEN.search(text):
        return Misread("has a control character or a line break", "write it on one line")
    if BROKEN.search(text):
        return Misread("has a character that is not UTF-8", "use UTF-8 for values and file names")
    if TEMPLATE.search(text):
        hint = "write the value itself; fintts expands no templates or variables"
        return Misread(f"is {short(written)}, an unexpanded template", hint)
    return None


def _misread(taken: Taken, value: object, given: Given) -> Misread:
    shown = _shown(given)
    said = f"is {short(shown)}, {_named(value)}" if shown else f"is {_named(value)}"
    return Misread(said, _advice(taken, shown, value))


def _advice(taken: Taken, shown: str, value: object) -> str:
    kind = taken.kind
    for kinds, spelling, advice in ADVICE:
        if kind in kinds and re.fullmatch(spelling, shown.strip()):
            return advice
    if kind in TEXTUAL and isinstance(value, bool | int | float):
        return f'if you mean the text, put it in quotes: "{cut(shown)}"'
    if kind is Kind.LIST and isinstance(value, str):
        words = re.split(r"[,;\s]+", shown.strip())
        return f"write a list: [{cut(', '.join(words))}]"
    return f"write {taken.in_words}"


def _shown(given: Given) -> str:
    if given.written:
        return given.written
    return "" if isinstance(given.value, list | tuple | dict | None) else str(given.value)


def _named(value: object) -> str:
    """What the value was read as."""
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float | Decimal):
        return "a number"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "a section"
    digits = len(str(value))
    is_long = digits > MAX_CHARACTERS and re.fullmatch(r"[-+]?[0-9.]+", str(value))
    return f"a number of {digits:,} digits" if is_long else "a text"
