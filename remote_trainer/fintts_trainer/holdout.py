"""Which utterances are held out for validation: a pure function of the utterance's name."""

from __future__ import annotations

import hashlib


def is_held_out(name: str, fraction: float) -> bool:
    """Whether an utterance belongs to the validation split.

    The split depends on the name alone, so that adding an utterance moves no other one across,
    and the same utterance is never trained on in one run and validated on in its continuation.
    """
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64
