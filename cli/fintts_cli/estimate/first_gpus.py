"""The GPU that `fintts init` writes for the cloud that you chose."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

from fintts_cli.errors import CloudError
from fintts_cli.places import LOCAL
from fintts_cli.prices.market import cheapest_offer, wanted_by
from fintts_cli.prices.source import CatalogMissing
from fintts_cli.settings.model import Settings
from fintts_cost.gpus.accelerators import ACCELERATORS
from fintts_cost.money import hourly
from fintts_cost.prices.offers import cheapest, offers_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cli.prices.source import OfferSource
    from fintts_cost.prices.offer import Offer, PriceRow

LEAST_GB = 24
"""enough memory for LoRA on S1-mini"""


class FirstGpus(NamedTuple):
    """What to write as `gpus`, and what to tell the user about it."""

    gpus: str
    remark: str | None = None
    hint: str = ""


def first_gpus(infra: str | None, source: OfferSource) -> FirstGpus:
    """The default GPU if the cloud rents it out singly, else the cheapest that fits."""
    settings = Settings(infra=infra)
    if infra == LOCAL:
        return FirstGpus(settings.gpus)
    try:
        cheapest_offer(source, settings)
    except CloudError as refused:
        return _instead(settings, source, refused)
    return FirstGpus(settings.gpus)


def _instead(settings: Settings, source: OfferSource, refused: CloudError) -> FirstGpus:
    found = _cheapest_single(settings, source)
    if found is None:
        return FirstGpus(settings.gpus, refused.message, _hint(settings, source))
    gpus = f"{found.accelerator}:1"
    return FirstGpus(
        gpus,
        f"{found.cloud} rents out no single {settings.first_gpus.partition(':')[0]}, so gpus is "
        f"{gpus}, at {hourly(found.hourly_rate_usd)}",
        "`fintts cloud offers --gpus A100-80GB` shows clouds that do",
    )


def _hint(settings: Settings, source: OfferSource) -> str:
    """The hint for a cloud without prices, which may be misspelt."""
    cloud = wanted_by(settings, spot=None).cloud or ""
    known = sorted({row.cloud for row in _rows(settings, source)})
    near = difflib.get_close_matches(cloud, known, n=1) if cloud not in known else []
    question = f"did you mean {near[0]}? Otherwise " if near else ""
    return f"{question}give --hourly-rate USD, or another --infra"


def _rows(settings: Settings, source: OfferSource) -> Sequence[PriceRow]:
    wanted = wanted_by(settings, spot=None)
    try:
        return source.prices(wanted.accelerator, wanted.cloud).rows
    except CatalogMissing:
        return ()


def _cheapest_single(settings: Settings, source: OfferSource) -> Offer | None:
    """The cheapest single GPU there that has enough memory."""
    wanted = wanted_by(settings, spot=False)
    fitting = [
        offer
        for offer in offers_of(_rows(settings, source))
        if offer.accelerator in ACCELERATORS
        and ACCELERATORS[offer.accelerator].memory_gb >= LEAST_GB
        and wanted._replace(accelerator=offer.accelerator).fits(offer)
    ]
    return cheapest(fitting)
