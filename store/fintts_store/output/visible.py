"""Makes control characters and hiding or reordering ones visible in a text, and redacts secrets.

Names, messages and logs in a store are input from outside.
"""

import re
from collections.abc import Callable

from fintts_store.output.redaction import without_secrets

_PIECE = 64 * 1024
_HIDDEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and newline, DEL, C1
    "\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff"  # halves of a character, which have no bytes in UTF-8
    "\U000e0000-\U000e007f"
    "]+"
)


class _Spelling(dict[int, str]):
    """The spelling of each hidden character that was met, for `str.translate`."""

    def __init__(self, spell: Callable[[str], str]) -> None:
        super().__init__()
        self._spell = spell

    def __missing__(self, code: int) -> str:
        self[code] = spelled = self._spell(chr(code))
        return spelled


def is_visible(text: str) -> bool:
    """Whether the text shows everything that it contains, in one line."""
    return _HIDDEN.search(text) is None and "\n" not in text and "\t" not in text


def visible(text: str) -> str:
    r"""ESC becomes the four characters `\x1b`; newlines and tabs stay."""
    return _spelled(without_secrets(text), _ESCAPES)


def one_line(text: str) -> str:
    r"""The same in one line: line breaks and tabs, which could forge a line, become `\n`, `\t`."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def visible_json(text: str) -> str:
    r"""A JSON document with such characters as JSON escapes; its meaning is unchanged.

    Redacts nothing: in the document's text, that could remove the escape of a quote.
    """
    return _spelled(text, _JSON_ESCAPES)


def _spelled(text: str, spelling: _Spelling) -> str:
    if _HIDDEN.search(text) is None:
        return text
    # In pieces: each run of hidden characters is an object until its piece is joined.
    pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
    return "".join(_HIDDEN.sub(lambda run: run[0].translate(spelling), piece) for piece in pieces)


def _escaped(character: str) -> str:
    return ascii(character)[1:-1]


def _units(character: str) -> str:
    encoded = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{encoded[at : at + 4]}" for at in range(0, len(encoded), 4))


_ESCAPES, _JSON_ESCAPES = _Spelling(_escaped), _Spelling(_units)
