"""What this run would take and cost on each offer for a GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from fintts_cli import launch_plan
from fintts_cli.errors import CloudError, ConfigError, OverBudget
from fintts_cli.estimating import estimate_run, measured_pace
from fintts_cli.run_forecast import LOCAL
from fintts_cli.views.units import hourly
from fintts_cost.bill import SECONDS_PER_HOUR, cost_usd
from fintts_cost.prices import cheapest

if TYPE_CHECKING:
    from decimal import Decimal

    from fintts_cli.offers import Market
    from fintts_cli.settings import ReadSettings, Settings
    from fintts_cost.bill import Estimate, Price
    from fintts_cost.prices import Offer


class PricedOffer(NamedTuple):
    """An offer, and what this run would cost on it."""

    offer: Offer
    cost_usd: Decimal | None
    """not rounded; None where the run is not known"""
    over_budget: bool


class RunOffers(NamedTuple):
    """The answer of `fintts cloud offers`: the cheapest run first."""

    gpus: str
    offers: tuple[PricedOffer, ...]
    cheapest: Offer | None
    """of those that can be taken, and without a doubt if there is one; None: none can be taken"""
    estimate: Estimate | None
    """of the run on that offer; the time is the same on all of them, which have the same GPUs"""
    budget_usd: Decimal | None
    notes: tuple[str, ...]


def run_on_offers(found: ReadSettings, configured: Settings, market: Market) -> RunOffers:
    """The run of these settings on each offer.

    Args:
        configured: the settings without the options that say what to rent: a declared pace is
            that of the GPU which is configured.

    Raises:
        ConfigError: there is a budget, and the run's cost cannot be computed.
        CostError, TrainerError, StoreError: as of `fintts estimate`.
    """
    best, budget_usd = cheapest(market.offers), found.settings.budget_usd
    paced, note = _with_pace(found, configured)
    made, missing = _estimate(paced, (best or market.offers[0]).price)
    if made is None and budget_usd is not None:
        raise ConfigError(missing, "without --budget the offers are shown by their hourly rate")
    return RunOffers(
        gpus=found.settings.gpus,
        offers=tuple(_priced(offer, made, budget_usd) for offer in market.offers),
        cheapest=best,
        estimate=made,
        budget_usd=budget_usd,
        notes=tuple(text for text in (market.note, note if made else missing) if text),
    )


def _priced(offer: Offer, made: Estimate | None, budget_usd: Decimal | None) -> PricedOffer:
    if made is None:
        return PricedOffer(offer, None, over_budget=False)
    cost = cost_usd(made.expected.total_seconds, offer.hourly_rate_usd)
    return PricedOffer(offer, cost, over_budget=budget_usd is not None and cost > budget_usd)


def _estimate(found: ReadSettings, price: Price) -> tuple[Estimate | None, str]:
    """The bill, or why it cannot be computed."""
    try:
        return estimate_run(found, price).estimate, ""
    except ConfigError as error:
        return None, f"time and cost are left out: {error.message}"


def _with_pace(found: ReadSettings, configured: Settings) -> tuple[ReadSettings, str]:
    """The settings with the best figure for the GPU that is asked for, and what to say of it.

    A pace that was declared for another place is taken only where no run has measured this one,
    and then as it is: how much faster the other GPU is, nobody has found out.
    """
    settings = _rented(found.settings, configured)
    declared = settings.forecast.seconds_per_step
    place = "this machine" if configured.infra == LOCAL else configured.gpus
    if declared is None or place == settings.gpus:
        return replace(found, settings=settings), ""
    unset = settings.forecast.model_copy(update={"seconds_per_step": None})
    without = settings.model_copy(update={"forecast": unset})
    if measured_pace(without) is not None:
        return replace(found, settings=without), ""
    origin = found.origins["forecast.seconds_per_step"]
    note = (
        f"{declared:g} s a step are declared for {place} ({origin}); "
        f"no run has measured {settings.gpus}, and they are not scaled to it"
    )
    return replace(found, settings=settings), note


def _rented(settings: Settings, configured: Settings) -> Settings:
    """Nobody rents this machine: where a project runs here, all clouds are looked at.

    How long this machine takes to set up and to tear down says nothing about theirs.
    """
    if configured.infra != LOCAL:
        return settings
    nowhere = {"setup_seconds": None, "teardown_seconds": None}
    forecast = settings.forecast.model_copy(update=nowhere)
    infra = None if settings.infra == LOCAL else settings.infra
    return settings.model_copy(update={"infra": infra, "forecast": forecast})


def refuse_what_cannot_be(run: RunOffers) -> None:
    """To be called after the offers were shown.

    Raises:
        CloudError: none of them can be taken.
        OverBudget: the cheapest of those that can costs more than the budget.
    """
    if run.cheapest is None:
        raise CloudError(
            f"none of these offers for {run.gpus} can be taken",
            "try another of --gpus, --infra, --spot or --on-demand",
        )
    if run.estimate is None or run.budget_usd is None:
        return
    try:
        launch_plan.refuse_over_budget(run.estimate, run.budget_usd)
    except OverBudget as refused:
        hours = run.estimate.expected.total_seconds / SECONDS_PER_HOUR
        arithmetic = f"{hours:.2f} h at {hourly(run.cheapest.hourly_rate_usd)}"
        where = f"{run.cheapest.cloud} {run.cheapest.instance_type}"
        sentence = f"{refused.message}: {arithmetic} ({where}, {how_cheap(run.cheapest)})"
        raise OverBudget(sentence, refused.hint) from None


def how_cheap(offer: Offer) -> str:
    """Among which offers it is the cheapest."""
    return "the cheapest that can be taken" if offer.doubts else "the cheapest without a remark"
