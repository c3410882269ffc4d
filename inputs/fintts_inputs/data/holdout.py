"""Which utterances are held out for validation: a pure function of the utterance's name."""

from __future__ import annotations

import hashlib


def is_held_out(name: str, fraction: float) -> bool:
    """Whether an utterance belongs to the validation split.

    The split depends on the name alone, so that adding an utterance moves no other one across,
    and the same utterance is never trained on in one run and validated on in its continuation.
    """
    return mark_of(name) < fraction * 2**64


def mark_of(name: str) -> int:
    """The number, evenly spread over 0 … 2⁶⁴ - 1, that decides for an utterance."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
