"""Checks the proxies in the environment before a library uses one.

Our errors name only the variable: libraries quote its value, which may contain a password.
"""

import os
from urllib.parse import urlsplit

NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
"""programs also read them in lower case"""
TO_WRITE = (
    "set it to http://HOST:PORT, with USER:PASSWORD@ before HOST if the proxy needs them (write a "
    "/ in the password as %2F, an @ as %40), or unset it"
)


def malformed_proxy() -> str:
    """The first variable with an invalid URL; empty if there is none."""
    given = sorted(name for name in os.environ if name.upper() in NAMES)
    return next((name for name in given if not is_url(os.environ[name])), "")


def is_url(text: str) -> bool:
    """Whether the text is empty, or names a host and, if any, a valid port."""
    if not text:
        return True
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        return bool(parts.hostname) and parts.port != 0 and text.isprintable() and " " not in text
    except ValueError:
        return False
