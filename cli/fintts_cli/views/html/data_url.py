"""What a page holds itself instead of linking to it."""

from __future__ import annotations

import base64


def data_url(kind: str, content: bytes | None) -> str:
    """A file of this media type as a URL; empty if there is none."""
    return "" if content is None else f"data:{kind};base64,{base64.b64encode(content).decode()}"
