"""The offers for a run, and the one used for estimates if no rate is set."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

from fintts_cli.errors import CloudError
from fintts_cli.places import ANY, cloud_of
from fintts_cli.prices.source import CatalogMissing
from fintts_cli.settings.gpus import parse_gpus
from fintts_cost.prices.offer import Doubt, Offer
from fintts_cost.prices.offers import cheapest, offers_of, spot_ceiling

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from fintts_cli.prices.source import OfferSource
    from fintts_cli.settings.model import Settings


class Wanted(NamedTuple):
    """What to rent."""

    accelerator: str
    gpus: int
    spot: bool | None
    """None: either kind"""
    cloud: str | None
    """None: any"""
    region: str | None
    """None: any"""

    def fits(self, offer: Offer) -> bool:
        """Whether the offer matches exactly; a machine with eight GPUs does not match a request for
        one."""
        return (
            (offer.accelerator, offer.gpus) == (self.accelerator, self.gpus)
            and self.spot in (None, offer.spot)
            and self.cloud in (None, offer.cloud)
            and self._is_in_region(offer)
        )

    def is_launched(self, offer: Offer) -> bool:
        """Whether a launch gets it: without a cloud, SkyPilot chooses one that its autodown can
        end."""
        return self.cloud is not None or Doubt.NO_AUTODOWN not in offer.doubts

    def _is_in_region(self, offer: Offer) -> bool:
        if self.region is None or offer.region is None:
            return True
        return offer.region.lower() == self.region

    def __str__(self) -> str:
        """`spot offer for A100-80GB:1 on aws/us-east-1`"""
        kind = {None: "", True: "spot ", False: "on-demand "}[self.spot]
        place = "/".join(part for part in (self.cloud, self.region) if part)
        return f"{kind}offer for {self.accelerator}:{self.gpus}" + (f" on {place}" if place else "")


class Market(NamedTuple):
    """The matching offers, cheapest first, and remarks about the list."""

    offers: tuple[Offer, ...]
    note: str


def wanted_by(settings: Settings, *, spot: bool | None) -> Wanted:
    """What the settings request. Prices apply to a region: a zone is ignored."""
    accelerator, count = parse_gpus(settings.first_gpus)
    infra = settings.rented_place
    _, region, *_ = [*(infra or "").lower().split("/"), "", ""]
    return Wanted(
        accelerator.name,
        count,
        spot,
        cloud=cloud_of(infra) or None,
        region=None if region in ("", ANY) else region,
    )


def find_offers(source: OfferSource, wanted: Wanted) -> Market:
    """The matching offers.

    Raises:
        CloudError: no offer matches; the hint says what there is.
    """
    rows, note = source.prices(wanted.accelerator, wanted.cloud)
    every = offers_of(rows)
    fitting = tuple(offer for offer in every if wanted.fits(offer))
    if not any(offer.accelerator == wanted.accelerator for offer in every):
        hint = _what_there_is(wanted, every)
        raise CloudError(f"the list has no prices of {wanted.accelerator} ({note})", hint)
    if not fitting:
        raise CloudError(f"there is no {wanted} ({note})", _what_there_is(wanted, every))
    return Market(fitting, note)


def cheapest_offer(source: OfferSource, settings: Settings) -> Offer:
    """The offer used for estimates if no rate is set.

    Raises:
        CloudError: no offer can be taken.
    """
    wanted = wanted_by(settings, spot=settings.spot)
    market = find_offers(source, wanted)
    offer = cheapest(each for each in market.offers if wanted.is_launched(each))
    if offer is not None:
        return offer
    why = sorted({doubt for found in market.offers for doubt in found.doubts})
    named = cheapest(market.offers)
    hint = "`fintts cloud offers` shows them; --hourly-rate USD computes with a rate of your own"
    raise CloudError(
        f"no {wanted} can be taken: {', '.join(why)} ({market.note})",
        hint if named is None else f"--infra {named.cloud} rents it",
    )


def most_an_hour(source: OfferSource, settings: Settings, rate_usd: Decimal) -> Decimal | None:
    """The highest hourly rate of a spot instance; None if the given rate is exact."""
    if not settings.spot or settings.is_local:
        return None
    either = wanted_by(settings, spot=None)
    try:
        rows, _ = source.prices(either.accelerator, either.cloud)
    except CatalogMissing:
        return None
    return spot_ceiling((offer for offer in offers_of(rows) if either.fits(offer)), rate_usd)


def _what_there_is(wanted: Wanted, every: Sequence[Offer]) -> str:
    """The nearest alternatives: another kind or place, another number, another GPU."""
    anywhere = wanted._replace(cloud=None, region=None)
    elsewhere = [offer for offer in every if anywhere.fits(offer) and offer.may_be_chosen]
    if elsewhere:
        return f"--infra with one of {_listed(offer.cloud for offer in elsewhere)} rents it"
    either = wanted._replace(spot=None)
    if any(either.fits(offer) for offer in every):
        return "leave --spot out" if wanted.spot else "take --spot"
    same = [offer for offer in every if offer.accelerator == wanted.accelerator]
    if same:
        return f"there is --gpus {_listed(f'{offer.accelerator}:{offer.gpus}' for offer in same)}"
    return f"{_near_names(wanted.accelerator, every)}--hourly-rate USD computes with your own rate"


def _near_names(name: str, every: Sequence[Offer]) -> str:
    names = sorted({offer.accelerator for offer in every})
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or names
    return f"there is {_listed(near)}; " if near else ""


def _listed(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))
