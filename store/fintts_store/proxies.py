"""The proxies that the environment names, looked at before a library asks one.

What is wrong with one is said by the name of its variable: libraries quote the value, in which a
password may stand anywhere.
"""

import os
from urllib.parse import urlsplit

NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
"""in capitals; all programs read them in small letters, too"""
TO_WRITE = (
    "write http://HOST:PORT, with USER:PASSWORD@ before HOST if it wants them (a / of the password "
    "is %2F, an @ %40), or unset it"
)


def malformed_proxy() -> str:
    """The variable whose value is not the URL of a proxy; empty where there is none."""
    given = sorted(name for name in os.environ if name.upper() in NAMES)
    return next((name for name in given if not is_url(os.environ[name])), "")


def is_url(text: str) -> bool:
    """Whether it names a host, and a port that is one; an empty text names none, and is none."""
    if not text:
        return True
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        return bool(parts.hostname) and parts.port != 0 and text.isprintable() and " " not in text
    except ValueError:
        return False
