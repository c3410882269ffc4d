"""Transcripts as they are spoken: numbers and abbreviations in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.text.finnish_abbreviations import expanded
from fintts_inputs.text.finnish_numbers import spelled

if TYPE_CHECKING:
    from fintts_inputs.text.finnish_numbers import Spelling


def spelled_out(text: str) -> tuple[str, tuple[Spelling, ...]]:
    """A Finnish text in words, and each change. What has several readings stays as it is."""
    longer, first = expanded(text)
    words, then = spelled(longer)
    return words, (*first, *then)
