"""Flags prices far from what others ask. Pure."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING

from fintts_cost.gpus.accelerators import ACCELERATORS
from fintts_cost.prices.offer import Doubt, Offer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

OUTLIER_TIMES = 4
"""An offer this many times above or below the median of all sellers is flagged."""
SIBLING_TIMES = 2
"""The same for one machine across a cloud's regions, where prices differ less."""
FEWEST_TO_COMPARE = 5
OTHER_GPU_TIMES = 6
"""With fewer sellers of a GPU, its rate per GB of memory is compared with other GPUs'."""
FEWEST_OTHER_GPUS = 3


def marked_outliers(offers: Iterable[Offer]) -> list[Offer]:
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
