"""The port of a kind of store: its addresses, who can reach it, and with which key.

A kind of store is a folder in backends/ with a Store and a Backend, and one line in opening.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from fintts_store.network.patience import Patience
from fintts_store.network.reach import Obstacle
from fintts_store.store import Store


@dataclass(frozen=True, slots=True)
class Grant:
    """Environment variables for a trainer; this object never shows their values."""

    variables: Mapping[str, str] = field(repr=False)
    ends_at: datetime | None = None
    """aware and UTC; None if they do not expire, or the time is unknown"""
    warning: str = ""
    """a sentence if they allow more than a run needs, or expire at an unknown time"""
    hint: str = ""
    is_for_the_run: bool = False
    """whether the key is made for the run; else it is this machine's, whose rights are tested"""


class Backend(Protocol):
    """One kind of store, by the text of its addresses. Only try_grant reads or writes a store's
    keys. Methods raise a StoreError for what cannot be used.
    """

    @property
    def scheme(self) -> str:
        """The start of its addresses, such as `s3` in `s3://BUCKET`; empty for folders."""
        ...

    @property
    def environment(self) -> Sequence[str]:
        """Patterns of the environment variables that a run on this machine needs to reach it."""
        ...

    def full_address(self, url: str, endpoint_url: str | None) -> str:
        """The store's address in a form that means the same on every machine.

        Args:
            endpoint_url: the server's canonical URL, if it is set separately from the address.
        """
        ...

    def place(self, url: str) -> str:
        """The same for every address of the same store."""
        ...

    def cloud(self, url: str) -> str | None:
        """The cloud that bills for the store; None if unknown."""
        ...

    def open(self, url: str, patience: Patience) -> Store:
        """The store at this address, which may not exist yet."""
        ...

    def obstacle(self, url: str) -> Obstacle | None:
        """Why a rented instance cannot reach this store; None if it may be able to."""
        ...

    def grant(
        self,
        url: str,
        run: str,
        reads: Sequence[str],
        deadline_at: datetime,
        role: str,
        *,
        adds_to: Sequence[str] = (),
    ) -> Grant:
        """The credentials for a run's instance to reach this store.

        Args:
            reads: keys of the store, or prefixes that end with `/`, that the run reads beside its
                own.
            role: that makes the key where the key of this machine cannot; empty for none.
            adds_to: those of these prefixes to which the run adds files.
        """
        ...

    def try_grant(
        self,
        url: str,
        run: str,
        reads: Sequence[str],
        grant: Grant,
        *,
        adds_to: Sequence[str] = (),
    ) -> None:
        """Tries what a trainer does: reads its inputs; writes, reads, lists and removes a key; adds
        a key to each of these prefixes."""
        ...
