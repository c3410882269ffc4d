"""Redacts secrets in a text: keys, tokens, signatures, and passwords in URLs.

Libraries put requests, headers and settings into their errors. Every error message and everything
shown passes through here.
"""

import logging
import os
import re
import traceback
from typing import Any
from urllib.parse import quote

GONE = "…"
AT_EDGE = "has a space or a line break at its start or end"
CONTROL = "has a control character"
SHORTEST = 8
"""characters of a secret: anything shorter would remove ordinary words from sentences"""
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|API_?KEY|ACCESS_KEY|KEY_ID|"
    r"PRIVATE_KEY|SECRET_KEY)(?:_|$)"
)
_PLACE_NAME = re.compile(r"_(?:FILE|PATH|DIR|URI|URL|ENDPOINT|CONFIG|NAME)$")
_PIECE = re.compile(rf"[!-~]{{{SHORTEST},}}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_VALUE = r"[^\s\"'<>&,;]+"
_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), kept)
    for pattern, kept in (
        # USER:PASSWORD@ of a URL, percent-encoded too; a password may hold slashes.
        (r"(//|%2F%2F)[^\s/?&@\"'<>]*?(?:(?::|%3A)[^\s@\"'<>]*?)?(?:@|%40)", r"\1" + GONE + "@"),
        (
            r"(\b(?:proxy-)?authorization\b[\"']?\s*[:=,]\s*b?[\"']?)[^\s\"'][^\"'\r\n]*",
            r"\1" + GONE,
        ),
        (rf"\b(bearer )[\w.~+/=-]{{{SHORTEST},}}", r"\1" + GONE),
        (
            r"(X-Amz-(?:Signature|Credential|Security-Token)\b[\"']?\s*(?:=|%3D|:)\s*b?[\"']?)"
            + _VALUE,
            r"\1" + GONE,
        ),
        (r"(\b(?:Signature|Credential|AWSAccessKeyId)=)" + _VALUE, r"\1" + GONE),
        (
            r"(\b(?:aws_?)?(?:secret_?access_?key|session_?token|security_?token|access_?key_?id)"
            r"[\"']?\s*[=:>]\s*b?[\"']?)" + _VALUE,
            r"\1" + GONE,
        ),
        # A parameter of a URL, in which some services take their keys.
        (
            r"([?&](?:api[_-]?key|key|(?:access_|auth_|write_)?token|secret|password|sig)=)"
            r"[^\s\"'<>&#]+",
            r"\1" + GONE,
        ),
        (r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b", GONE),
        (r"\bhf_[A-Za-z0-9]{16,}", GONE),
    )
)
_learned: set[str] = set()


def remember_secrets(*secrets: str | None) -> None:
    """Also redacts these from now on: secrets that a file or program gave to this process."""
    _learned.update(piece for secret in secrets if secret for piece in _pieces(secret))


def _pieces(secret: str) -> list[str]:
    """The printable parts of a secret. The scheme of a URL hides nothing: without it a part must
    be as long as any other."""
    return [
        piece
        for piece in _PIECE.findall(secret)
        if len(_SCHEME.sub("", piece, count=1)) >= SHORTEST
    ]


def without_secrets(text: str) -> str:
    """The text with `…` in place of secrets; the rest is unchanged."""
    for secret in _known():
        if secret in text:
            text = text.replace(secret, GONE)
    for pattern, kept in _PATTERNS:
        text = pattern.sub(kept, text)
    return text


def without_secrets_of(name: str, text: str) -> str:
    """The same for the text of a field, whose name may say that it is a secret."""
    begin = f"{name}="
    shown = without_secrets(begin + text)
    return shown.removeprefix(begin) if shown.startswith(begin) else without_secrets(text)


def clean_logs() -> None:
    """Redacts secrets in libraries' logs and their tracebacks from now on."""
    logging.setLogRecordFactory(_record)


def _record(*fields: Any, **more: Any) -> logging.LogRecord:
    record = logging.LogRecord(*fields, **more)
    try:
        record.msg, record.args = without_secrets(record.getMessage()), ()
    except (TypeError, ValueError):  # the text does not fit what is to be put into it
        record.msg, record.args = without_secrets(str(record.msg)), ()
    if record.exc_info and record.exc_info[0]:
        record.exc_text = without_secrets("".join(traceback.format_exception(*record.exc_info)))
    return record


def _known() -> list[str]:
    """The secrets that this process knows, in the forms of a text, the longest first.

    A secret with a line break or a letter beyond ASCII gives its printable pieces, since every
    library escapes the rest differently.
    """
    named = (
        piece
        for name, value in os.environ.items()
        if _SECRET_NAME.search(name) and not _PLACE_NAME.search(name)
        for piece in _pieces(value)
    )
    pieces = {*_learned, *named}
    return sorted(pieces | {quote(piece, safe="") for piece in pieces}, key=len, reverse=True)


def fault_of_secret(secret: object) -> str:
    """Why this cannot be a key or token, without showing it; empty if it can.

    It goes into a header of a request: visible ASCII in one piece.
    """
    if not isinstance(secret, str):
        return "is no text"
    if not secret:
        return "is empty"
    if secret != secret.strip():
        return AT_EDGE
    if any(character.isspace() for character in secret):
        return "has a space or a line break"
    if not secret.isascii():
        return "has a character that is not ASCII"
    return "" if secret.isprintable() else CONTROL


def fault_of_name(name: str) -> str:
    """Why this cannot be a name, which may have spaces within it; empty if it can."""
    if name != name.strip():
        return AT_EDGE
    return "" if name.isprintable() else CONTROL
