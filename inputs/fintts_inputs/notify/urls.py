"""The URLs that get notifications. A URL often holds the key to a chat, so it is never shown."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fintts_store.output.redaction import remember_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VARIABLE = "FINTTS_SECRET_NOTIFY"
"""hands the URLs to an instance, separated by spaces; its name makes every process redact them"""
MOST_URLS = 8
SHORTEST_SECRET_PATH = 16
"""A path from this length on is redacted without its host, too; a shorter one is a common word."""


def checked_url(text: str) -> str:
    """The URL itself.

    Raises:
        ValueError: it cannot get a POST; the sentence does not contain it.
    """
    if any(not "!" <= character <= "~" for character in text):
        raise ValueError("a URL has a space, or a character that is not ASCII")
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("one of them is not a URL") from None
    if parts.scheme not in ("https", "http") or not host:
        raise ValueError("should be URLs that begin with https:// or http://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL has a user or a password before its host, which is not sent")
    return text


def shown(url: str) -> str:
    """Scheme and host, which tell URLs apart: `https://hooks.example.com/…`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


def keep_secret(urls: Iterable[str]) -> None:
    """Redacts these from now on in everything that this process shows."""
    for url in urls:
        rest = url.partition("://")[2].partition("/")[2]
        remember_secrets(url, rest if len(rest) >= SHORTEST_SECRET_PATH else None)


def urls_in(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The URLs that the launch handed over."""
    return tuple(environment.get(VARIABLE, "").split())


def as_secret(urls: Iterable[str]) -> dict[str, str]:
    """The variable of a task's secrets; empty without URLs."""
    text = " ".join(urls)
    return {VARIABLE: text} if text else {}
