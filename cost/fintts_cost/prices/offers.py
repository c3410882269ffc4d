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

from collections import defaultdict
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.gpus.accelerators import ACCELERATORS
from fintts_cost.gpus.names import canonical
from fintts_cost.money import Price

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

WITHOUT_SPOT = frozenset(
    {
        *("cudo", "do", "fluidstack", "hyperbolic", "lambda", "paperspace", "scp", "seeweb"),
        *("shadeform", "vsphere", "yotta"),
    }
)
"""Clouds where SkyPilot 0.14.1 rents no spot instances, in its notation."""
WITHOUT_AUTODOWN = frozenset({"hyperbolic", "primeintellect", "verda", "yotta"})
"""Clouds that SkyPilot's autodown does not serve. Its managed jobs, which a spot run needs, insist
on it; an on-demand instance is rented there only if `--infra` names the cloud."""

MARKET_PRICED = frozenset({"aws", "azure"})
"""Clouds that bill a spot instance at the current market price, up to the on-demand price;
SkyPilot's `max_hourly_cost` only filters the list."""

OUTLIER_TIMES = 4
"""An offer this many times above or below the median of all sellers is flagged."""
SIBLING_TIMES = 2
"""The same for one machine across a cloud's regions, where prices differ less."""
FEWEST_TO_COMPARE = 5
OTHER_GPU_TIMES = 6
"""With fewer sellers of a GPU, its rate per GB of memory is compared with other GPUs'."""
FEWEST_OTHER_GPUS = 3
OLD_AFTER_DAYS = 30


class Doubt(StrEnum):
    """Why an offer is doubtful."""

    NO_DISCOUNT = "no-discount"
    BELOW_OWN_SPOT = "below-own-spot"
    OUTLIER = "outlier"
    SUSPECT = "suspect"
    OLD = "old"
    NO_AUTODOWN = "no-autodown"
    NO_SPOT_JOBS = "no-spot-jobs"
    OTHER_CPU = "other-cpu"
    OTHER_NAME = "other-name"
    NOT_RENTABLE = "not-rentable"


NEVER_CHOSEN = frozenset(
    {
        *(Doubt.NO_DISCOUNT, Doubt.NO_SPOT_JOBS, Doubt.OTHER_CPU, Doubt.OTHER_NAME),
        Doubt.NOT_RENTABLE,
    }
)
"""Offers with these doubts are listed, but never used in an estimate or launch."""
ON_ARM = ("GB200", "GH200")
"""GPUs whose machine has an Arm processor; the trainer's packages are pinned for x86-64."""


class PriceRow(NamedTuple):
    """One row of a price list. A row without an accelerator is the host of a row with some."""

    cloud: str
    """as `--infra` has it"""
    instance_type: str
    accelerator: str
    """the seller's name for it; empty for a host"""
    gpus: float
    """GPUs in the machine"""
    price_usd: Decimal | None
    """on demand, for an hour of the machine; None if there is no valid price"""
    spot_price_usd: Decimal | None
    source: str
    as_of: str
    """the day of the list"""
    region: str | None = None
    """None if the price is the same in every region"""
    zone: str | None = None
    gpu_memory_gb: float | None = None
    """of one GPU, if the list gives it"""
    seller: str | None = None
    """the machine's owner, if the cloud is a broker"""
    doubts: tuple[Doubt, ...] = ()
    """doubts about the row beyond its numbers"""


class Offer(NamedTuple):
    """A machine for rent at a price."""

    cloud: str
    """as `--infra` has it"""
    region: str | None
    """None: any"""
    instance_type: str
    accelerator: str
    """as in `gpus.accelerators`, if known there"""
    gpus: int
    """GPUs in the machine; you pay for all of them"""
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
        """The rate per GPU, which compares machines of different sizes."""
        return self.hourly_rate_usd / self.gpus

    @property
    def may_be_chosen(self) -> bool:
        """Whether a launch could get the machine at this price."""
        return not NEVER_CHOSEN.intersection(self.doubts)

    @property
    def price(self) -> Price:
        """The price for the run's record."""
        kind = "spot" if self.spot else "on-demand"
        what = f"{self.cloud} {self.instance_type} {kind}"
        return Price(self.hourly_rate_usd, f"{what}, {self.source}", self.as_of, self.cloud)


def amount(listed: str | float | Decimal | None) -> Decimal | None:
    """A price above 0; None for anything else: empty, 0.00, NaN, infinite, negative, a word."""
    try:
        number = Decimal(str(listed).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and number > 0 else None


def offers_of(rows: Iterable[PriceRow]) -> list[Offer]:
    """Every offer of the lists, flagged if doubtful, the cheapest first."""
    found = [offer for row in join_hosts(rows) for offer in _offers_of_row(row)]
    return sorted(_marked_outliers(_cheapest_zones(found)), key=_order)


def old_list(as_of: str | None, today: date) -> str | None:
    """A warning about a price from an old list; None if the list is recent or undated."""
    try:
        days = (today - date.fromisoformat(as_of or "")).days
    except ValueError:
        return None
    if days <= OLD_AFTER_DAYS:
        return None
    return f"the price is from a list of {as_of}, {days:,} days ago: it may have changed since"


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
    is_kept = row.cloud in WITHOUT_AUTODOWN
    if row.price_usd is not None:
        alone = [Doubt.NO_AUTODOWN] if is_kept else []
        yield _offer(row, row.price_usd, spot=False, doubts=(*doubts, *alone))
    if row.spot_price_usd is not None and row.cloud not in WITHOUT_SPOT:
        is_dear = row.price_usd is None or row.spot_price_usd >= row.price_usd
        about_price = {Doubt.BELOW_OWN_SPOT, Doubt.SUSPECT}  # of the on-demand price
        kept = [doubt for doubt in doubts if doubt not in about_price]
        of_spot = [
            *([Doubt.NO_SPOT_JOBS] if is_kept else []),
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


def _marked_outliers(offers: Iterable[Offer]) -> list[Offer]:
    """Flags prices far from other sellers of the GPU, or from the same machine elsewhere."""
    marked = list(offers)
    marked = _compared(marked, OUTLIER_TIMES, lambda o: (o.accelerator, o.spot))
    marked = _beside_other_gpus(marked)
    return _compared(
        marked, SIBLING_TIMES, lambda o: (o.cloud, o.seller, o.instance_type, o.gpus, o.spot)
    )


def _compared(
    offers: Sequence[Offer], times: int, group_of: Callable[[Offer], tuple[object, ...]]
) -> list[Offer]:
    """Flags rates per GPU that are a factor above or below the median of their group."""
    rates: dict[tuple[object, ...], list[Decimal]] = defaultdict(list)
    for offer in offers:
        if Doubt.NO_DISCOUNT not in offer.doubts:
            rates[group_of(offer)].append(offer.rate_per_gpu_usd)
    return [_marked(offer, rates[group_of(offer)], times) for offer in offers]


def _beside_other_gpus(offers: Sequence[Offer]) -> list[Offer]:
    """Compares the rate per GB of a GPU with few sellers with that of other GPUs."""
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
    """The offer, flagged if its rate is a factor above or below the usual one."""
    if Doubt.OUTLIER in offer.doubts or middle / times <= offer.rate_per_gpu_usd <= middle * times:
        return offer
    return offer._replace(doubts=(*offer.doubts, Doubt.OUTLIER))
