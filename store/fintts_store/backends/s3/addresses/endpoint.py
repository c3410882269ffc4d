"""The canonical form of an S3 server's URL."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from fintts_store.errors import StoreDenied
from fintts_store.output.redaction import without_secrets

DEFAULT_PORTS = {"http": 80, "https": 443}
CREDENTIALS = (
    "remove them, since addresses are shown and stored; set AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
)
_CHARACTERS = re.compile(r"[A-Za-z0-9:/.\[\]_~-]+")
_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
"""a host whose last part is a number must be an IPv4 address"""


def canonical_endpoint(text: str) -> str:
    """`http[s]://HOST[:PORT][/PATH]` in lower case, without the scheme's default port and a
    trailing slash.

    Raises:
        StoreDenied: it is not such a URL, or contains more than that.
    """
    if "@" in text:
        raise StoreDenied(f"the endpoint {without_secrets(text)} contains credentials", CREDENTIALS)
    parts, port = _split(text)
    host = _host(parts, text)
    standard = port is None or port == DEFAULT_PORTS[parts.scheme]
    return f"{parts.scheme}://{host}{'' if standard else f':{port}'}{_path(parts, text)}"


def _split(text: str) -> tuple[SplitResult, int | None]:
    if not _CHARACTERS.fullmatch(text):  # urlsplit would silently remove line breaks
        raise _refusal(text)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _refusal(text) from None
    if parts.scheme not in DEFAULT_PORTS or port == 0:
        raise _refusal(text)
    return parts, port


def _host(parts: SplitResult, text: str) -> str:
    host = parts.hostname or ""
    try:
        if parts.netloc.startswith("["):
            return f"[{ipaddress.IPv6Address(host)}]"
        if _NUMBER.fullmatch(host):
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise _refusal(text) from None
    if not _NAME.fullmatch(host):
        raise _refusal(text)
    return host


def _path(parts: SplitResult, text: str) -> str:
    path = parts.path.removesuffix("/")
    if any(part in ("", ".", "..") for part in path.split("/")[1:]):
        raise _refusal(text)
    return path


def _refusal(text: str) -> StoreDenied:
    return StoreDenied(
        f"the endpoint {text!r} is not the URL of a server",
        "write it as https://HOST or http://HOST:PORT",
    )
