"""The port of prices: whatever has lines of a price list."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cost.prices import PriceRow


class PriceList(NamedTuple):
    """Lines of prices, and what a reader of them should know."""

    rows: Sequence[PriceRow]
    note: str


class CatalogMissing(Exception):
    """A source has nothing to say here; its text says why."""


class OfferSource(Protocol):
    """Where prices come from."""

    def prices(self, accelerator: str, cloud: str | None) -> PriceList:
        """All lines that may be of this accelerator, with others among them.

        Args:
            cloud: as `--infra` has it; None for every one that can be used from here.

        Raises:
            CatalogMissing: this source knows no prices there; another one may.
        """
        ...


class FirstToKnow:
    """Asks one source after the other."""

    def __init__(self, first: OfferSource, otherwise: OfferSource) -> None:
        self._first, self._otherwise = first, otherwise

    def prices(self, accelerator: str, cloud: str | None) -> PriceList:
        """Of the first source that has some; the note says why it was not the one before."""
        try:
            return self._first.prices(accelerator, cloud)
        except CatalogMissing as missing:
            rows, note = self._otherwise.prices(accelerator, cloud)
            return PriceList(rows, f"{note}; {missing}")
