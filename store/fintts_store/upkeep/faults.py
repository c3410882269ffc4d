"""The faults of a store that `fintts store check` reports."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kind of a fault."""

    RECORD = "record"
    """run.json is missing, or a record of the run cannot be read"""
    DAMAGED = "damaged"
    """a checkpoint that cannot be restored"""
    LATER = "later"
    """a checkpoint of a newer version of this program: it is sound, but cannot be read"""
    INPUT = "input"
    """an input of a run is missing or damaged, so the run cannot continue"""
    ORPHAN = "orphan"
    """files of a checkpoint that was never committed: they cost, and harm nothing"""
    UNFINISHED = "unfinished"
    """an unfinished upload: it costs, and harms nothing"""
    UNUSED = "unused"
    """a data set, base model or adapter that no run names: it costs, and harms nothing"""


HARMLESS = frozenset({Kind.LATER, Kind.ORPHAN, Kind.UNFINISHED, Kind.UNUSED})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `place` is its key or folder in the store."""

    kind: Kind
    place: str
    sentence: str
    run: str | None = None
    step: int | None = None

    @property
    def is_harmless(self) -> bool:
        """Whether the fault only takes space."""
        return self.kind in HARMLESS
