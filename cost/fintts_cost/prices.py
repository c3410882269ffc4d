"""From the lines of a price list to offers, with the traps of such lists taken care of. Pure.

A list's prices are dollars for an hour of a whole machine. The traps:

- spot 0.00, NaN or nothing: the spot price is unknown, so there is no spot offer;
- spot as dear as on-demand, or dearer: listed, marked, never chosen;
- host and GPU in two lines: only together they are a machine;
- a GPU cheaper on demand than as spot: the on-demand price is suspect;
- a price for one GPU in the line of eight, cents for dollars: far from what the others ask;
- a cloud that SkyPilot rents no spot instances of, or cannot tear down by itself;
- one name for two GPUs: see `gpu_names`.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.accelerators import ACCELERATORS
from fintts_cost.gpu_names import canonical
from fintts_cost.money import Price

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

WITHOUT_SPOT = frozenset({"cudo", "do", "fluidstack", "lambda", "shadeform"})
WITHOUT_AUTODOWN = frozenset({"hyperbolic", "primeintellect", "verda", "yotta"})
"""Clouds as SkyPilot 0.14.1 knows them."""

MARKET_PRICED = frozenset({"aws", "azure"})
"""Clouds that bill a spot instance at the market's price of the moment, up to the on-demand price;
SkyPilot's `max_hourly_cost` only filters the list."""

OUTLIER_TIMES = 4
"""An offer this many times above or below the median of all sellers is marked."""
SIBLING_TIMES = 2
"""The same for one machine in the regions of one cloud, whose prices differ less."""
FEWEST_TO_COMPARE = 5
OTHER_GPU_TIMES = 6
"""Where fewer sell a GPU, its rate for a GB of memory is compared with that of other GPUs."""
FEWEST_OTHER_GPUS = 3
OLD_AFTER_DAYS = 30


class Doubt(StrEnum):
    """Why an offer is looked at twice."""

    NO_DISCOUNT = "no-discount"
    BELOW_OWN_SPOT = "below-own-spot"
    OUTLIER = "outlier"
    SUSPECT = "suspect"
    OLD = "old"
    NO_AUTODOWN = "no-autodown"
    OTHER_NAME = "other-name"
    NOT_RENTABLE = "not-rentable"


NEVER_CHOSEN = frozenset({Doubt.NO_DISCOUNT, Doubt.OTHER_NAME, Doubt.NOT_RENTABLE})
"""Offers with these are listed, but nothing is computed or launched with them."""


class PriceRow(NamedTuple):
    """One line of a price list. A line without an accelerator is the host of one that has some."""

    cloud: str
    """as `--infra` has it"""
    instance_type: str
    accelerator: str
    """as the seller writes it; empty for a host"""
    gpus: float
    """GPUs in the machine"""
    price_usd: Decimal | None
    """an hour of all of it, on demand; None for what is no price"""
    spot_price_usd: Decimal | None
    source: str
    as_of: str
    """the day of the list"""
    region: str | None = None
    """None where the price is the same in every one"""
    zone: str | None = None
    gpu_memory_gb: float | None = None
    """of one GPU, where the list says so"""
    seller: str | None = None
    """who owns the machine, where the cloud is a broker"""
    doubts: tuple[Doubt, ...] = ()
    """what was found out about the line beside its numbers"""


class Offer(NamedTuple):
    """A machine that can be rented for a price."""

    cloud: str
    """as `--infra` has it"""
    region: str | None
    """None: any"""
    instance_type: str
    accelerator: str
    """as in `accelerators`, where it is known there"""
    gpus: int
    """GPUs in the machine; all of them are paid for"""
    spot: bool
    hourly_rate_usd: Decimal
    """of the whole machine"""
    source: str
    as_of: str
    zone: str | None = None
    seller: str | None = None
    doubts: tuple[Doubt, ...] = ()

    @property
    def rate_per_gpu_usd(self) -> Decimal:
        """What machines of several sizes are compared by."""
        return self.hourly_rate_usd / self.gpus

    @property
    def may_be_chosen(self) -> bool:
        """Whether a launch could get it at this price."""
        return not NEVER_CHOSEN.intersection(self.doubts)

    @property
    def price(self) -> Price:
        """As it is frozen into the run's record."""
        kind = "spot" if self.spot else "on-demand"
        what = f"{self.cloud} {self.instance_type} {kind}"
        return Price(self.hourly_rate_usd, f"{what}, {self.source}", self.as_of, self.cloud)


def amount(listed: str | float | Decimal | None) -> Decimal | None:
    """A price above 0; None for what is none: nothing, 0.00, NaN, infinite, negative, a word."""
    try:
        number = Decimal(str(listed).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and number > 0 else None


def offers_of(rows: Iterable[PriceRow]) -> list[Offer]:
    """Every offer of the lists, marked where it is doubtful, the cheapest first."""
    found = [offer for row in join_hosts(rows) for offer in _offers_of_row(row)]
    return sorted(_marked_outliers(_cheapest_zones(found)), key=_order)


def old_list(as_of: str | None, today: date) -> str | None:
    """What is to be said of a price whose list is old; None where it is not, or has no day."""
    try:
        days = (today - date.fromisoformat(as_of or "")).days
    except ValueError:
        return None
    if days <= OLD_AFTER_DAYS:
        return None
    return f"the price is from a list of {as_of}, {days:,} days ago: it may have changed since"


def cheapest(offers: Iterable[Offer]) -> Offer | None:
    """The cheapest without a doubt, else the cheapest that may be chosen at all."""
    choice = sorted((offer for offer in offers if offer.may_be_chosen), key=_order)
    without_doubt = (offer for offer in choice if not offer.doubts)
    return next(without_doubt, next(iter(choice), None))


def spot_ceiling(offers: Iterable[Offer], rate_usd: Decimal) -> Decimal | None:
    """What an hour of a spot instance may cost at most, where a launch at this rate may get one
    whose cloud bills the market's price: the dearest on-demand price of those machines.

    Args:
        offers: of the GPU that is wanted, spot and on-demand.
        rate_usd: the limit that SkyPilot filters its list by.
    """
    known = list(offers)
    to_be_had = {
        (offer.cloud, offer.region, offer.instance_type)
        for offer in known
        if offer.spot and offer.cloud in MARKET_PRICED and offer.hourly_rate_usd <= rate_usd
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
    """Lines of whole machines: the price of a host is added to that of its GPUs."""
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
    """A part without a price leaves the whole without one."""
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
    """None for a slice of a GPU: there is nothing to train on."""
    if row.gpus < 1 or row.gpus != int(row.gpus):
        return
    is_kept = [Doubt.NO_AUTODOWN] if row.cloud in WITHOUT_AUTODOWN else []
    doubts = (*row.doubts, *_name_doubts(row), *is_kept)
    if row.price_usd is not None:
        yield _offer(row, row.price_usd, spot=False, doubts=doubts)
    if row.spot_price_usd is not None and row.cloud not in WITHOUT_SPOT:
        is_dear = row.price_usd is None or row.spot_price_usd >= row.price_usd
        about_price = {Doubt.BELOW_OWN_SPOT, Doubt.SUSPECT}  # of the on-demand price
        kept = [doubt for doubt in doubts if doubt not in about_price]
        no_discount = [Doubt.NO_DISCOUNT] if is_dear else []
        yield _offer(row, row.spot_price_usd, spot=True, doubts=(*kept, *no_discount))


def _name_doubts(row: PriceRow) -> list[Doubt]:
    """SkyPilot finds a machine by the name in its catalog alone; case does not matter to it."""
    name = canonical(row.accelerator, row.gpu_memory_gb)
    return [] if name.upper() == row.accelerator.strip().upper() else [Doubt.OTHER_NAME]


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
    """Of a region's zones the cheapest: a launch takes what is free in the region."""
    regions: dict[tuple[object, ...], Offer] = {}
    for offer in sorted(offers, key=_order):
        place = offer.cloud, offer.seller, offer.region, offer.instance_type
        regions.setdefault((*place, offer.accelerator, offer.gpus, offer.spot), offer)
    yield from regions.values()


def _marked_outliers(offers: Iterable[Offer]) -> list[Offer]:
    """Far from all that sell the same GPU, or from the same machine in other regions."""
    marked = list(offers)
    marked = _compared(marked, OUTLIER_TIMES, lambda o: (o.accelerator, o.spot))
    marked = _beside_other_gpus(marked)
    return _compared(
        marked, SIBLING_TIMES, lambda o: (o.cloud, o.seller, o.instance_type, o.gpus, o.spot)
    )


def _compared(
    offers: Sequence[Offer], times: int, group_of: Callable[[Offer], tuple[object, ...]]
) -> list[Offer]:
    """Marks who is so many times above or below the median of a group's rates per GPU."""
    rates: dict[tuple[object, ...], list[Decimal]] = defaultdict(list)
    for offer in offers:
        if Doubt.NO_DISCOUNT not in offer.doubts:
            rates[group_of(offer)].append(offer.rate_per_gpu_usd)
    return [_marked(offer, rates[group_of(offer)], times) for offer in offers]


def _beside_other_gpus(offers: Sequence[Offer]) -> list[Offer]:
    """Of a GPU that few sell, the rate for a GB beside what the others cost by that measure."""
    rates: dict[tuple[bool, str], list[Decimal]] = defaultdict(list)
    for offer in offers:
        size = _memory_gb(offer)
        if size is not None and Doubt.NO_DISCOUNT not in offer.doubts:
            rates[offer.spot, offer.accelerator].append(offer.rate_per_gpu_usd / size)
    middles = {group: median(found) for group, found in rates.items()}
    return [_marked_beside(offer, rates, middles) for offer in offers]


def _memory_gb(offer: Offer) -> Decimal | None:
    known = ACCELERATORS.get(offer.accelerator)
    return None if known is None else Decimal(str(known.memory_gb))


def _marked_beside(
    offer: Offer,
    rates: Mapping[tuple[bool, str], Sequence[Decimal]],
    middles: Mapping[tuple[bool, str], Decimal],
) -> Offer:
    group, size = (offer.spot, offer.accelerator), _memory_gb(offer)
    others = [middle for each, middle in middles.items() if each[0] == offer.spot and each != group]
    is_few = len(rates.get(group, ())) < FEWEST_TO_COMPARE
    if size is None or not is_few or len(others) < FEWEST_OTHER_GPUS:
        return offer
    middle = median(others) * size
    return _doubted(offer, middle, OTHER_GPU_TIMES)


def _marked(offer: Offer, rates: Sequence[Decimal], times: int) -> Offer:
    if len(rates) < FEWEST_TO_COMPARE or Doubt.OUTLIER in offer.doubts:
        return offer
    return _doubted(offer, median(rates), times)


def _doubted(offer: Offer, middle: Decimal, times: int) -> Offer:
    """An outlier where its rate is so many times above or below the usual one."""
    if Doubt.OUTLIER in offer.doubts or middle / times <= offer.rate_per_gpu_usd <= middle * times:
        return offer
    return offer._replace(doubts=(*offer.doubts, Doubt.OUTLIER))
