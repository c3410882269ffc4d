"""The port for prices: any source of price-list lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cost.prices.offer import PriceRow


class PriceList(NamedTuple):
    """Price-list lines, and a note for their reader."""

    rows: Sequence[PriceRow]
    note: str


class CatalogMissing(Exception):
    """A source has no prices here; the text says why."""


class OfferSource(Protocol):
    """Where prices come from."""

    def prices(self, accelerator: str, cloud: str | None) -> PriceList:
        """All lines that may match this accelerator; others may be among them.

        Args:
            cloud: as in `--infra`; None for every cloud usable from here.

        Raises:
            CatalogMissing: this source has no prices there; another one may.
        """
        ...


class FirstToKnow:
    """Asks one source after another."""

    def __init__(self, *sources: OfferSource) -> None:
        *self._first, self._last = sources

    def prices(self, accelerator: str, cloud: str | None) -> PriceList:
        """The prices of the first source that has some; the note says why earlier sources had
        none.

        Raises:
            CatalogMissing: the last source has none either.
        """
        missing: list[str] = []
        for source in self._first:
            try:
                rows, note = source.prices(accelerator, cloud)
            except CatalogMissing as error:
                missing.append(str(error))
            else:
                return PriceList(rows, "; ".join([note, *missing]))
        rows, note = self._last.prices(accelerator, cloud)
        return PriceList(rows, "; ".join([note, *missing]))
