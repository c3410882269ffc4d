"""The meaning of a word: null, booleans and numbers as YAML 1.2's core schema writes them.

https://yaml.org/spec/1.2.2/#103-core-schema. Files and variables share this reading. YAML 1.1,
PyYAML's default, reads `yes` as true, `010` as 8, `1:30` as 90 and `1_0` as 10.
"""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

MAX_CHARACTERS = 100
"""the limit for a number: a longer one is a typing error, and Python takes long to read it"""

WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
WHOLE = re.compile(r"[-+]?[0-9]+")
OCTAL, HEXADECIMAL = re.compile(r"0o[0-7]+"), re.compile(r"0x[0-9a-fA-F]+")
DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
NO_NUMBER = re.compile(r"\.(nan|NaN|NAN)")


def scalar(text: str) -> Scalar:
    """The value of an unquoted word; a text if it is nothing else."""
    if text in WORDS:
        return WORDS[text]
    return text if len(text) > MAX_CHARACTERS else _number(text)


def _number(text: str) -> str | int | float:
    if WHOLE.fullmatch(text):
        return int(text)
    if OCTAL.fullmatch(text) or HEXADECIMAL.fullmatch(text):
        return int(text, 0)
    if DECIMAL.fullmatch(text):
        return float(text)
    if INFINITE.fullmatch(text) or NO_NUMBER.fullmatch(text):
        return float(text.replace(".", ""))
    return text
