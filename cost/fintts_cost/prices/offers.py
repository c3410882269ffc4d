"""Turns the rows of a price list into offers, and handles the traps of such lists. Pure.

Prices are in dollars for an hour of a whole machine. The traps:

- spot 0.00, NaN or nothing: the spot price is unknown, so there is no spot offer;
- spot at or above the on-demand price: listed, flagged, never chosen;
- host and GPU in two rows: only together they are a machine;
- a GPU cheaper on demand than as spot: the on-demand price is suspect;
- the price of one GPU in the row of eight, or cents for dollars: far from other sellers' prices;
- a cloud where SkyPilot rents no spot instances, or cannot tear down by itself;
- a machine whose processor is none that the trainer's packages are pinned for;
- one name for two GPUs: see `gpus.names`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cost.gpus.names import canonical
from fintts_cost.prices.clouds import cloud_named
from fintts_cost.prices.offer import Doubt, Offer, PriceRow
from fintts_cost.prices.outliers import marked_outliers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

ON_ARM = ("GB200", "GH200")
"""GPUs whose machine has an Arm processor; the trainer's packages are pinned for x86-64."""


def offers_of(rows: Iterable[PriceRow]) -> list[Offer]:
    """Every offer of the lists, flagged if doubtful, the cheapest first."""
    found = [offer for row in join_hosts(rows) for offer in _offers_of_row(row)]
    return sorted(marked_outliers(_cheapest_zones(found)), key=_order)


def cheapest(offers: Iterable[Offer]) -> Offer | None:
    """The cheapest offer without doubts, else the cheapest that may be chosen."""
    return first_choice(sorted(offers, key=_order))


def first_choice(offers: Iterable[Offer]) -> Offer | None:
    """The first offer without doubts, else the first that may be chosen."""
    choice = [offer for offer in offers if offer.may_be_chosen]
    without_doubt = (offer for offer in choice if not offer.doubts)
    return next(without_doubt, next(iter(choice), None))


def spot_ceiling(offers: Iterable[Offer], rate_usd: Decimal) -> Decimal | None:
    """The maximum cost of a spot hour, if a launch at this rate may get a machine billed at the
    market price: the dearest on-demand price of those machines.

    Args:
        offers: of the requested GPU, spot and on-demand.
        rate_usd: the limit that SkyPilot filters its list by.
    """
    known = list(offers)
    to_be_had = {
        (offer.cloud, offer.region, offer.instance_type)
        for offer in known
        if offer.spot
        and cloud_named(offer.cloud).bills_market_price
        and offer.hourly_rate_usd <= rate_usd
    }
    on_demand = (
        offer.hourly_rate_usd
        for offer in known
        if not offer.spot and (offer.cloud, offer.region, offer.instance_type) in to_be_had
    )
    return max(on_demand, default=None)


def _order(offer: Offer) -> tuple[Decimal, str, str, str, bool]:
    place = offer.cloud, offer.region or "", offer.instance_type
    return offer.hourly_rate_usd, *place, offer.spot


def join_hosts(rows: Iterable[PriceRow]) -> Iterator[PriceRow]:
    """The rows of whole machines: adds a host's price to that of its GPUs."""
    listed = list(rows)
    hosts = {_machine(row): row for row in listed if not row.accelerator}
    for row in listed:
        if not row.accelerator:
            continue
        host = hosts.get(_machine(row))
        yield row if host is None else _joined(row, host)


def _machine(row: PriceRow) -> tuple[str, str, str | None, str | None]:
    return row.cloud, row.instance_type, row.region, row.zone


def _joined(gpus: PriceRow, host: PriceRow) -> PriceRow:
    """The sum of both rows; a part without a price leaves the whole without one."""
    price, spot = gpus.price_usd, gpus.spot_price_usd
    is_suspect = price is not None and spot is not None and price < spot
    return gpus._replace(
        price_usd=_sum(price, host.price_usd),
        spot_price_usd=_sum(spot, host.spot_price_usd),
        doubts=(*gpus.doubts, *([Doubt.BELOW_OWN_SPOT] if is_suspect else [])),
    )


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


def _offers_of_row(row: PriceRow) -> Iterator[Offer]:
    """The offers of a row; none for a slice of a GPU, which cannot train."""
    if row.gpus < 1 or row.gpus != int(row.gpus):
        return
    doubts = (*row.doubts, *_name_doubts(row))
    cloud = cloud_named(row.cloud)
    lacks_autodown = not cloud.has_autodown
    if row.price_usd is not None:
        alone = [Doubt.NO_AUTODOWN] if lacks_autodown else []
        yield _offer(row, row.price_usd, spot=False, doubts=(*doubts, *alone))
    if row.spot_price_usd is not None and cloud.has_spot:
        is_dear = row.price_usd is None or row.spot_price_usd >= row.price_usd
        about_price = {Doubt.BELOW_OWN_SPOT, Doubt.SUSPECT}  # of the on-demand price
        kept = [doubt for doubt in doubts if doubt not in about_price]
        of_spot = [
            *([Doubt.NO_SPOT_JOBS] if lacks_autodown else []),
            *([Doubt.NO_DISCOUNT] if is_dear else []),
        ]
        yield _offer(row, row.spot_price_usd, spot=True, doubts=(*kept, *of_spot))


def _name_doubts(row: PriceRow) -> list[Doubt]:
    """Doubts that follow from the name: SkyPilot finds a machine only by its catalog's name, in any
    case."""
    name = canonical(row.accelerator, row.gpu_memory_gb)
    other_name = [] if name.upper() == row.accelerator.strip().upper() else [Doubt.OTHER_NAME]
    return [*other_name, *([Doubt.OTHER_CPU] if name.startswith(ON_ARM) else [])]


def _offer(row: PriceRow, rate: Decimal, *, spot: bool, doubts: tuple[Doubt, ...]) -> Offer:
    return Offer(
        cloud=row.cloud,
        region=row.region,
        instance_type=row.instance_type,
        accelerator=canonical(row.accelerator, row.gpu_memory_gb),
        gpus=int(row.gpus),
        spot=spot,
        hourly_rate_usd=rate,
        source=row.source,
        as_of=row.as_of,
        zone=row.zone,
        seller=row.seller,
        doubts=doubts,
    )


def _cheapest_zones(offers: Iterable[Offer]) -> Iterator[Offer]:
    """The cheapest zone of each region, since a launch takes any free zone of the region."""
    regions: dict[tuple[object, ...], Offer] = {}
    for offer in sorted(offers, key=_order):
        place = offer.cloud, offer.seller, offer.region, offer.instance_type
        regions.setdefault((*place, offer.accelerator, offer.gpus, offer.spot), offer)
    yield from regions.values()
