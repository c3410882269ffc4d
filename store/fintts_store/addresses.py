"""Which text is a store's address, and which the path of a folder."""

import re

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
"""Two letters at least: `C:` is a drive"""


def has_scheme(text: str) -> bool:
    """Whether it begins as an address does, well formed or not; a folder of that name is ./NAME."""
    return _SCHEME.match(text) is not None
