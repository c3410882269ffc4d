"""What can be wrong in a store, as `fintts store check` says it."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is the matter with something in a store."""

    RECORD = "record"
    """run.json is missing or cannot be read"""
    DAMAGED = "damaged"
    """a checkpoint that cannot be restored"""
    LATER = "later"
    """a checkpoint that a later version of this program wrote: it is sound, and cannot be read"""
    INPUT = "input"
    """what a run reads is missing or damaged: it cannot train on"""
    ORPHAN = "orphan"
    """files of a checkpoint that was never committed: they cost, and harm nothing"""
    UNFINISHED = "unfinished"
    """an upload that was begun and has not ended: it costs, and harms nothing"""
    UNUSED = "unused"
    """a data set, base model or adapter that no run names: it costs, and harms nothing"""


HARMLESS = frozenset({Kind.LATER, Kind.ORPHAN, Kind.UNFINISHED, Kind.UNUSED})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it should be; `place` is its key or folder in the store."""

    kind: Kind
    place: str
    sentence: str
    run: str | None = None
    step: int | None = None

    @property
    def is_harmless(self) -> bool:
        """Whether it costs space and nothing else."""
        return self.kind in HARMLESS
