"""Selects the held-out utterances: a pure function of the utterance's name."""

from __future__ import annotations

import hashlib


def is_held_out(name: str, fraction: float) -> bool:
    """Whether an utterance belongs to the validation split.

    The split depends only on the name: adding an utterance moves no other one, and a resumed run
    never validates on an utterance that it was trained on.
    """
    return mark_of(name) < fraction * 2**64


def mark_of(name: str) -> int:
    """The utterance's hash, uniform over 0 … 2⁶⁴ - 1, that decides its side of the split."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
