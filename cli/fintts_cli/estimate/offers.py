"""Time and cost of this run on each offer for a GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from fintts_cli.errors import CloudError, ConfigError
from fintts_cli.estimate.gpus import left_out, none_offered, with_each, without_room
from fintts_cli.estimate.run import estimate_run, pace_before
from fintts_cli.prices.market import find_offers, wanted_by
from fintts_cli.settings.gpus import split_gpus
from fintts_cost.errors import OverBudget
from fintts_cost.money import SECONDS_PER_HOUR, hourly
from fintts_cost.plan.candidate import Candidate
from fintts_cost.plan.over_budget import refuse_over_budget
from fintts_cost.prices.offers import cheapest, first_choice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from fintts_cli.estimate.run_inputs import RunInputs
    from fintts_cli.prices.market import Market
    from fintts_cli.prices.source import OfferSource
    from fintts_cli.settings.model import Settings
    from fintts_cli.settings.read import ReadSettings
    from fintts_cli.workplace.workplace import Workplace
    from fintts_cost.estimate.result import Estimate
    from fintts_cost.money import Price
    from fintts_cost.plan.outlook import Outlook
    from fintts_cost.prices.offer import Offer


class PricedOffer(NamedTuple):
    """An offer, and the cost of this run on it."""

    offer: Offer
    candidate: Candidate | None
    """the run at the offer's price; None if its time is not known"""
    over_budget: bool

    @property
    def gpus(self) -> str:
        """As `--gpus` names it."""
        return f"{self.offer.accelerator}:{self.offer.gpus}"

    @property
    def total_seconds(self) -> Decimal | None:
        """Of the expected run, with set-up and teardown; equal for all offers of one GPU."""
        return None if self.estimate is None else self.estimate.expected.total_seconds

    @property
    def estimate(self) -> Estimate | None:
        """The run's bill; None if its time is not known."""
        return None if self.candidate is None else self.candidate.estimate

    @property
    def outlook(self) -> Outlook | None:
        """The range of the run's time and cost, with what preemptions add."""
        return None if self.candidate is None else self.candidate.outlook

    @property
    def cost_usd(self) -> Decimal | None:
        """Cost of the expected run, not rounded."""
        return None if self.candidate is None else self.candidate.cost_usd

    @property
    def order(self) -> tuple[float, Decimal]:
        """Sorts the run with the lowest expected cost first; without a known run, the lowest
        rate."""
        usd = 0.0 if self.candidate is None else self.candidate.expected_usd
        return usd, self.offer.hourly_rate_usd


class RunOffers(NamedTuple):
    """The answer of `fintts cloud offers`: the cheapest run first."""

    gpus: str
    """as `--gpus` names them, separated by commas"""
    offers: tuple[PricedOffer, ...]
    cheapest: Offer | None
    """the cheapest usable offer, without a doubt if there is one; None if no offer is usable"""
    estimate: Estimate | None
    """of the run on the cheapest offer"""
    budget_usd: Decimal | None
    notes: tuple[str, ...]


def on_every_gpu(
    here: Workplace,
    found: ReadSettings,
    configured: Settings,
    source: OfferSource,
    inputs: RunInputs,
) -> RunOffers:
    """The run of these settings on each offer for each of their GPUs.

    Raises:
        CloudError: none of them has an offer, or enough memory.
        ConfigError, CostError, InputError, StoreError: as of `run_on_offers`.
    """
    spot = found.settings.spot if "spot" in found.origins else None
    names = split_gpus(found.settings.gpus)
    runs: list[RunOffers] = []
    missing: dict[str, CloudError] = {}
    asked = found.settings.gpus
    for one in with_each(found, names):
        try:
            market = find_offers(source, wanted_by(one.settings, spot=spot))
        except CloudError as error:
            missing[one.settings.gpus] = error
            continue
        runs.append(
            run_on_offers(here, one, configured, market, inputs, is_compared=len(names) > 1)
        )
    if not runs:
        raise none_offered(asked, missing)
    small = without_room(asked, ((run.gpus, run.estimate) for run in runs))
    fitting = [run for run in runs if run.gpus not in small]
    return together(fitting, left_out(asked, missing, small))


def run_on_offers(
    here: Workplace,
    found: ReadSettings,
    configured: Settings,
    market: Market,
    inputs: RunInputs,
    *,
    is_compared: bool = False,
) -> RunOffers:
    """The run of these settings, which name one GPU, on each offer for it.

    Args:
        configured: the settings without the options that say what to rent: a pace that the user
            set belongs to the configured GPU.
        is_compared: whether the list shows other GPUs as well.

    Raises:
        ConfigError: there is a budget, but the run's cost cannot be computed.
        CostError, InputError, StoreError: as of `fintts estimate`.
    """
    budget_usd = found.settings.budget_usd
    paced, note = _with_pace(here, found, configured, inputs, is_compared=is_compared)
    by_rate = cheapest(market.offers) or market.offers[0]
    made, missing = _estimate(here, paced, by_rate.price, inputs)
    if made is None and budget_usd is not None:
        raise ConfigError(missing, "without --budget you see the offers by their hourly rate")
    priced = sorted(
        (_priced(offer, made, budget_usd) for offer in market.offers), key=lambda each: each.order
    )
    best = first_choice(each.offer for each in priced)
    return RunOffers(
        gpus=found.settings.gpus,
        offers=tuple(priced),
        cheapest=best,
        estimate=next((each.estimate for each in priced if each.offer is best), made),
        budget_usd=budget_usd,
        notes=tuple(text for text in (market.note, note if made else missing) if text),
    )


def _priced(offer: Offer, made: Estimate | None, budget_usd: Decimal | None) -> PricedOffer:
    if made is None:
        return PricedOffer(offer, None, over_budget=False)
    gpus = f"{offer.accelerator}:{offer.gpus}"
    candidate = Candidate(gpus, made, spot=offer.spot).at(offer.price)
    is_over = budget_usd is not None and candidate.cost_usd > budget_usd
    return PricedOffer(offer, candidate, over_budget=is_over)


def together(runs: Sequence[RunOffers], missing: Sequence[str] = ()) -> RunOffers:
    """The offers for several GPUs as one list; `missing` names GPUs without an offer."""
    offers = sorted((each for run in runs for each in run.offers), key=lambda each: each.order)
    best = [each for each in offers if each.offer in [run.cheapest for run in runs]]
    first = best[0] if best else None
    estimate = next((run.estimate for run in runs if first and run.cheapest == first.offer), None)
    return RunOffers(
        gpus=",".join(run.gpus for run in runs),
        offers=tuple(offers),
        cheapest=first.offer if first else None,
        estimate=estimate or runs[0].estimate,
        budget_usd=runs[0].budget_usd,
        notes=(*dict.fromkeys(note for run in runs for note in run.notes), *missing),
    )


def _estimate(
    here: Workplace, found: ReadSettings, price: Price, inputs: RunInputs
) -> tuple[Estimate | None, str]:
    """The bill, or why it cannot be computed."""
    try:
        return estimate_run(here, found, price, inputs).estimate, ""
    except ConfigError as error:
        return None, f"time and cost are not known: {error.message}"


def _with_pace(
    here: Workplace,
    found: ReadSettings,
    configured: Settings,
    inputs: RunInputs,
    *,
    is_compared: bool,
) -> tuple[ReadSettings, str]:
    """The settings with the best known pace of the GPU, and a note about it.

    A pace that the user set for another place is used only if no run has measured this GPU, and
    then unscaled, since the difference between the GPUs is unknown. If several GPUs are compared,
    each has its own pace, measured or forecast.
    """
    settings = _rented(found.settings, configured)
    declared = settings.forecast.seconds_per_step
    place = "this machine" if configured.is_local else configured.first_gpus
    if declared is None or place == settings.gpus:
        return replace(found, settings=settings), ""
    unset = settings.forecast.model_copy(update={"seconds_per_step": None})
    without = settings.model_copy(update={"forecast": unset})
    if is_compared or pace_before(here, without, inputs) is not None:
        return replace(found, settings=without), ""
    origin = found.origins["forecast.seconds_per_step"]
    note = (
        f"the {declared:g} s a step that you set for {place} ({origin}) are used unscaled: "
        f"no run has measured {settings.gpus}"
    )
    return replace(found, settings=settings), note


def _rented(settings: Settings, configured: Settings) -> Settings:
    """Looks at all clouds if the project trains on this machine, which is not for rent.

    This machine's times for set-up and teardown say nothing about theirs.
    """
    if not configured.is_local:
        return settings
    nowhere = {"setup_seconds": None, "teardown_seconds": None}
    forecast = settings.forecast.model_copy(update=nowhere)
    infra = settings.rented_place
    return settings.model_copy(update={"infra": infra, "forecast": forecast})


def refuse_what_cannot_be(run: RunOffers) -> None:
    """Call it after showing the offers.

    Raises:
        CloudError: no offer is usable.
        OverBudget: the cheapest usable offer costs more than the budget.
    """
    if run.cheapest is None:
        raise CloudError(
            f"none of these offers for {run.gpus} can be used",
            "try other --gpus, another --infra, --spot or --on-demand",
        )
    if run.estimate is None or run.budget_usd is None:
        return
    try:
        refuse_over_budget(run.estimate, run.budget_usd)
    except OverBudget as refused:
        hours = run.estimate.expected.total_seconds / SECONDS_PER_HOUR
        arithmetic = f"{hours:.2f} h at {hourly(run.cheapest.hourly_rate_usd)}"
        where = f"{run.cheapest.cloud} {run.cheapest.instance_type}"
        sentence = f"{refused.message}: {arithmetic} ({where}, {how_cheap(run.cheapest)})"
        raise OverBudget(sentence, refused.hint) from None


def how_cheap(offer: Offer) -> str:
    """Says among which offers this one is the cheapest."""
    return "the cheapest usable offer" if offer.doubts else "the cheapest offer without a doubt"
