"""The laptop that launches a run, as the run's ledger names it."""

import re
from typing import Annotated

from pydantic import AfterValidator

from fintts_store.runs.fields import Name
from fintts_store.runs.record import Record

_WRITER = re.compile("[0-9a-f]{32}")


def _is_laptop_id(text: str) -> str:
    if not _WRITER.fullmatch(text):
        raise ValueError("not 32 of the characters 0 to 9 and a to f")
    return text


class Laptop(Record):
    """The machine that requests instances."""

    id: Annotated[str, AfterValidator(_is_laptop_id)]
    """created once and kept in the machine's state folder"""
    host: Name
    """the machine's name, for people"""
    user: Name = ""
    """the user there; empty if unknown"""

    @property
    def whose(self) -> str:
        """The laptop in words."""
        return f"{self.user} on {self.host}" if self.user else self.host

    @property
    def writer(self) -> str:
        """The laptop in file names."""
        return self.id[:8]


UNKNOWN_LAPTOP = Laptop(id="0" * 32, host="a laptop without a state folder")
