"""The port of a kind of store: its addresses, who reaches it, and with which key.

A kind of store is a folder in backends/ with a Store and a Backend, and one line in opening.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from fintts_store.patience import Patience
from fintts_store.reach import Obstacle
from fintts_store.store import Store


@dataclass(frozen=True, slots=True)
class Grant:
    """Variables for the environment of a trainer; their values appear in no text of this object."""

    variables: Mapping[str, str] = field(repr=False)
    ends_at: datetime | None = None
    """aware and UTC; None where they do not end, or the end is unknown"""
    warning: str = ""
    """a sentence where they allow more than a run needs, or end at an unknown time"""
    hint: str = ""
    is_for_the_run: bool = False
    """made for it; else it is the key of this machine, which has shown already what it may do"""


class Backend(Protocol):
    """One kind of store, by the text of its addresses. No method reads or writes a store's keys,
    but for try_grant. What cannot be used raises a StoreError.
    """

    @property
    def scheme(self) -> str:
        """What its addresses begin with, such as `s3` in `s3://BUCKET`; empty for folders."""
        ...

    @property
    def environment(self) -> Sequence[str]:
        """Patterns of the environment variables that a run on this machine reaches it with."""
        ...

    def full_address(self, url: str, endpoint_url: str | None) -> str:
        """The one text for the store at this address that every machine reads alike.

        Args:
            endpoint_url: of the server that is set beside the address, in its canonical form.
        """
        ...

    def place(self, url: str) -> str:
        """The same for every address of the same store."""
        ...

    def cloud(self, url: str) -> str | None:
        """The cloud that bills for what lies there; None where that is unknown."""
        ...

    def open(self, url: str, patience: Patience) -> Store:
        """The store at this address, which need not be there yet."""
        ...

    def obstacle(self, url: str) -> Obstacle | None:
        """What keeps a rented instance from this store; None where it may be tried."""
        ...

    def grant(
        self, url: str, run: str, reads: Sequence[str], deadline_at: datetime, role: str
    ) -> Grant:
        """What the instance of a run reaches this store with.

        Args:
            reads: keys of the store, or prefixes that end with `/`, that the run reads beside its
                own.
            role: that makes the key where the key of this machine cannot; empty for none.
        """
        ...

    def try_grant(self, url: str, run: str, reads: Sequence[str], grant: Grant) -> None:
        """Does once what a trainer does: reads its inputs, and writes, reads, lists and removes."""
        ...
