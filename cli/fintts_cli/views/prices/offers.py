"""Offers for a run, as a table and as a document.

The document:

    gpus               the GPUs requested, as in `--gpus`
    budget_usd         or null
    seconds_per_step   {value, source} on the cheapest, or null if the run is unknown
    total_seconds      of the expected run there, with set-up and teardown; or null
    notes              sentences about prices and pace
    offers             cheapest run first: {cloud, region, zone, seller, instance_type,
                       accelerator, count, spot, hourly_rate_usd, price: {source, as_of}, cost_usd,
                       seconds_per_step, total_seconds, expected, over_budget, doubts, cheapest};
                       `expected` has {low, likely, high} of total_seconds, cost_usd and
                       preemptions, with what these add, or is null; region is
                       null if the price is the same in all of them; `cheapest` marks the
                       cheapest offer that can be taken, one without doubts if possible
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.estimate.offers import how_cheap
from fintts_cli.views.units import duration, rough_dollars, rough_duration, step_seconds, table
from fintts_cost.money import CENT, NOTHING, dollars, hourly
from fintts_cost.prices.offer import NEVER_CHOSEN, Doubt
from fintts_cost.spot.preemptions import PREEMPTIONS_PER_HOUR, PREEMPTIONS_SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fintts_cli.estimate.offers import PricedOffer, RunOffers
    from fintts_cost.estimate.result import Estimate
    from fintts_cost.interval import Interval
    from fintts_cost.prices.offer import Offer

GPU = "GPU"
"""a column that is shown if there are several"""
COLUMNS = ("CLOUD", "REGION", "INSTANCE", "HOW", "REMARKS", "$/H", "TIME", "COST")
LEFT = 5
EVERYWHERE = "any"
OVER_BUDGET = "over budget"

MEANING = {
    Doubt.NO_DISCOUNT: "spot costs as much as on-demand",
    Doubt.BELOW_OWN_SPOT: "the GPU is cheaper on demand than as spot",
    Doubt.OUTLIER: "far from other sellers' prices, or this seller's prices elsewhere",
    Doubt.SUSPECT: "the price was checked and appears to be wrong",
    Doubt.OLD: "from an older price list",
    Doubt.NO_AUTODOWN: "SkyPilot uses it only if --infra names the cloud",
    Doubt.NO_SPOT_JOBS: "SkyPilot's managed jobs, which a spot run needs, do not run there",
    Doubt.OTHER_CPU: "the machine has an Arm processor, but the trainer's packages are for x86-64",
    Doubt.OTHER_NAME: "SkyPilot's catalog lists it under another GPU's name",
    Doubt.NOT_RENTABLE: "SkyPilot does not rent there",
}


def render_offers(run: RunOffers) -> str:
    """One line per offer, then what the remarks mean and where the figures come from."""
    several = len({priced.gpus for priced in run.offers}) > 1
    named = (GPU,) if several else ()
    rows = [((priced.gpus,) if several else ()) + _row(priced) for priced in run.offers]
    return "\n".join(
        [
            table((*named, *COLUMNS), rows, left=LEFT + len(named)),
            "",
            *_cheapest(run),
            *_meanings(run),
            *_pace(run),
            *run.notes,
        ]
    )


def _row(priced: PricedOffer) -> tuple[str, ...]:
    offer, outlook = priced.offer, priced.outlook
    remarks = [*map(str, offer.doubts), *([OVER_BUDGET] if priced.over_budget else [])]
    return (
        offer.cloud if offer.seller is None else f"{offer.cloud} ({offer.seller})",
        offer.region or EVERYWHERE,
        offer.instance_type,
        how(offer),
        ", ".join(remarks),
        f"{offer.hourly_rate_usd:.2f}",
        NOTHING if outlook is None else _time(outlook.seconds),
        NOTHING if outlook is None else _cost(priced, outlook.usd),
    )


def _time(seconds: Interval) -> str:
    if seconds.is_exact:
        return duration(seconds.likely)
    return _range(rough_duration(seconds.likely), rough_duration(seconds.high))


def _cost(priced: PricedOffer, usd: Interval) -> str:
    if usd.is_exact:
        return dollars(priced.cost_usd)
    return _range(rough_dollars(usd.likely), rough_dollars(usd.high))


def _range(likely: str, most: str) -> str:
    return likely if likely == most else f"{likely} – {most}"


def how(offer: Offer) -> str:
    """The billing kind: spot, on-demand."""
    return "spot" if offer.spot else "on-demand"


def _cheapest(run: RunOffers) -> Iterator[str]:
    offer = run.cheapest
    if offer is not None:
        option = "--spot" if offer.spot else "--on-demand"
        gpus = f"--gpus {offer.accelerator}:{offer.gpus} " if "," in run.gpus else ""
        place = f"{gpus}--infra {offer.cloud} {option}, {offer.instance_type}"
        yield f"{how_cheap(offer)}: {place}, {hourly(offer.hourly_rate_usd)}"


def _meanings(run: RunOffers) -> Iterator[str]:
    found = {doubt for priced in run.offers for doubt in priced.offer.doubts}
    for doubt, meaning in MEANING.items():
        if doubt in found:
            never = "; never chosen" if doubt in NEVER_CHOSEN else ""
            yield f"{doubt}: {meaning}{never}"


def _pace(run: RunOffers) -> Iterator[str]:
    if run.estimate is None:
        return
    estimates = {priced.gpus: priced.estimate for priced in run.offers if priced.estimate}
    for gpus, estimate in estimates.items():
        where = f" on {gpus}" if len(estimates) > 1 else ""
        yield f"time and cost{where}: {_spent(estimate)}"
    if any(priced.offer.spot for priced in run.offers):
        low, likely, high = (f"{rate:.2g}" for rate in PREEMPTIONS_PER_HOUR.times(100))
        yield f"spot: preempted in {likely} % of the hours ({low} to {high}), {PREEMPTIONS_SOURCE}"


def _spent(estimate: Estimate) -> str:
    given, expected = estimate.given, estimate.expected
    each = f"{step_seconds(given)} a step ({given.seconds_per_step_source})"
    spent = expected.durations
    around = f"{duration(float(spent.setup_seconds))} of set-up"
    after = f"{duration(float(spent.teardown_seconds))} of teardown"
    return f"{expected.stop_step:,} steps, {each}, {around}, {after}"


def document_of(run: RunOffers) -> dict[str, object]:
    """The document that the module describes."""
    made = run.estimate
    return {
        "gpus": run.gpus,
        "budget_usd": None if run.budget_usd is None else float(run.budget_usd),
        "seconds_per_step": _pace_document(made),
        "total_seconds": None if made is None else float(made.expected.total_seconds),
        "notes": list(run.notes),
        "offers": [
            _offer_document(priced, cheapest=priced.offer is run.cheapest) for priced in run.offers
        ],
    }


def _pace_document(made: Estimate | None) -> dict[str, object] | None:
    if made is None:
        return None
    given = made.given
    return {"value": float(given.seconds_per_step), "source": given.seconds_per_step_source}


def _offer_document(priced: PricedOffer, *, cheapest: bool) -> dict[str, object]:
    offer, cost, seconds = priced.offer, priced.cost_usd, priced.total_seconds
    return {
        "cloud": offer.cloud,
        "region": offer.region,
        "zone": offer.zone,
        "seller": offer.seller,
        "instance_type": offer.instance_type,
        "accelerator": offer.accelerator,
        "count": offer.gpus,
        "spot": offer.spot,
        "hourly_rate_usd": float(offer.hourly_rate_usd),
        "price": {"source": offer.source, "as_of": offer.as_of},
        "seconds_per_step": _pace_document(priced.estimate),
        "total_seconds": None if seconds is None else float(seconds),
        "cost_usd": None if cost is None else float(cost.quantize(CENT)),
        "expected": None if priced.outlook is None else priced.outlook.to_json(),
        "over_budget": priced.over_budget,
        "doubts": [str(doubt) for doubt in offer.doubts],
        "cheapest": cheapest,
    }
