"""Sellers: each cloud's own word on its instances, through SkyPilot's own clients.

SkyPilot forgets an instance that it takes for stopped, and the seller bills it on. So the seller is
asked whenever SkyPilot says that an instance is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

LONGEST_WORD = 40
"""characters of a seller's status that are shown"""


@dataclass(frozen=True, slots=True)
class Listed:
    """An instance that a seller lists, and bills. Times are aware and UTC."""

    id: str
    name: str
    status: str
    """the seller's own word"""
    created_at: datetime | None = None
    """None if the seller does not say"""


class Seller(Protocol):
    """One cloud; `sky` is the SDK. Passes on whatever the seller's client raises."""

    @property
    def cloud(self) -> str:
        """As in `--infra`."""
        ...

    @property
    def title(self) -> str:
        """The seller's name, for people."""
        ...

    @property
    def longest_name(self) -> int:
        """The characters that SkyPilot gives a name there."""
        ...

    @property
    def at_work(self) -> frozenset[str]:
        """The words for an instance that works, or will."""
        ...

    @property
    def ending(self) -> frozenset[str]:
        """The words for one that is being deleted."""
        ...

    def instances(self, sky: Any) -> Sequence[Listed]:
        """Every instance of the account, without those that are gone."""
        ...

    def remove(self, sky: Any, instance_id: str) -> None:
        """Asks for its deletion, in whatever state it is."""
        ...

    def balance_usd(self, sky: Any) -> Decimal | None:
        """What is left to spend on the account, 0 or more; None if SkyPilot's client cannot ask.

        Raises CloudError: the answer is no amount.
        """
        ...

    def is_on_sale(self, sky: Any, instance_type: str) -> bool | None:
        """Whether an instance of this type could be rented now; None if SkyPilot's client cannot
        ask."""
        ...


def trouble_of(seller: Seller, listed: Listed) -> str | None:
    """Why nothing works on an instance that is billed, in a sentence; None if something may."""
    if listed.status in seller.at_work | seller.ending:
        return None
    word = listed.status[:LONGEST_WORD]
    return f"{seller.title} says {word}: nothing works on it, and it may be billed"
