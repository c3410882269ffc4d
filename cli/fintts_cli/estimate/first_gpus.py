"""Which GPU a new project asks for, where you have said in which cloud it shall run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fintts_cli.errors import CloudError
from fintts_cli.offers import CatalogMissing, cheapest_offer, wanted_by
from fintts_cli.run_forecast import LOCAL
from fintts_cli.settings import Settings
from fintts_cost.accelerators import ACCELERATORS
from fintts_cost.money import hourly
from fintts_cost.prices import cheapest, offers_of

if TYPE_CHECKING:
    from fintts_cli.offers import OfferSource
    from fintts_cost.prices import Offer

LEAST_GB = 24
"""LoRA on S1-mini fits into this much memory"""


class FirstGpus(NamedTuple):
    """What to write as `gpus`, and what to say about it."""

    gpus: str
    remark: str | None = None
    hint: str = ""


def first_gpus(infra: str | None, source: OfferSource) -> FirstGpus:
    """The default GPU where the cloud rents out a single one of it, else the cheapest that fits."""
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
        return FirstGpus(
            settings.gpus, refused.message, "give --hourly-rate USD, or another --infra"
        )
    gpus = f"{found.accelerator}:1"
    return FirstGpus(
        gpus,
        f"{found.cloud} rents out no single {settings.first_gpus.partition(':')[0]}: gpus is "
        f"{gpus}, at {hourly(found.hourly_rate_usd)}",
        "`fintts cloud offers --gpus A100-80GB` shows who has one",
    )


def _cheapest_single(settings: Settings, source: OfferSource) -> Offer | None:
    """Of all single GPUs there that have enough memory."""
    wanted = wanted_by(settings, spot=False)
    try:
        rows = source.prices(wanted.accelerator, wanted.cloud).rows
    except CatalogMissing:
        return None
    fitting = [
        offer
        for offer in offers_of(rows)
        if offer.accelerator in ACCELERATORS
        and ACCELERATORS[offer.accelerator].memory_gb >= LEAST_GB
        and wanted._replace(accelerator=offer.accelerator).fits(offer)
    ]
    return cheapest(fitting)
