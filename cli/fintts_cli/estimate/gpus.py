"""The same run on each GPU of a list, and its cost on each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from fintts_cli.errors import CloudError, ConfigError
from fintts_cli.estimate.run import RunEstimate, estimate_run, price_of
from fintts_cli.prices.market import find_offers, most_an_hour, wanted_by
from fintts_cli.settings.gpus import named_gpus, split_gpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fintts_cli.estimate.run_inputs import RunInputs
    from fintts_cli.prices.source import OfferSource
    from fintts_cli.settings.read import ReadSettings
    from fintts_cli.workplace.workplace import Workplace
    from fintts_cost.estimate.result import Estimate
    from fintts_cost.plan.candidate import Candidate
    from fintts_cost.prices.offer import Offer


OF_ONE_GPU = ("hourly_rate_usd", "forecast.seconds_per_step", "forecast.seconds_per_validation")
"""settings that hold for one GPU"""


class Choices(NamedTuple):
    """The run on each GPU that has an offer."""

    runs: tuple[RunEstimate, ...]
    """at least one, cheapest first"""
    missing: tuple[str, ...]
    """a sentence for each named GPU without an offer, and one for those with too little memory"""

    @property
    def cheapest(self) -> RunEstimate:
        """The run on the GPU where it is expected to cost least."""
        return self.runs[0]

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The GPUs that a launch plans with, the cheapest first."""
        return tuple(each.candidate for each in self.runs)


def each_gpu(found: ReadSettings) -> tuple[ReadSettings, ...]:
    """The settings once for each GPU; once for this machine, whose GPUs are given.

    Raises:
        ConfigError: there are several GPUs, and a figure is set that can hold for only one.
    """
    settings = found.settings
    names = split_gpus(settings.gpus)
    if settings.is_local:
        names = names[:1]
    if len(names) > 1:
        _refuse_figures_of_one(found)
    return with_each(found, names)


def with_ceilings(
    choices: Sequence[Candidate], found: ReadSettings, open_source: Callable[[], OfferSource]
) -> tuple[Candidate, ...]:
    """The same with the highest price of an hour, which sets the deadline of a spot run."""
    if not found.settings.spot or found.settings.is_local:
        return tuple(choices)

    source = open_source()
    each = ((one, found.settings.model_copy(update={"gpus": one.gpus})) for one in choices)
    return tuple(
        one._replace(most_hourly_usd=most_an_hour(source, settings, one.hourly_rate_usd))
        for one, settings in each
    )


def other_kind(
    candidate: Candidate, found: ReadSettings, open_source: Callable[[], OfferSource]
) -> Candidate | None:
    """The same run on spot instead of on demand, or the reverse; None without such an offer."""
    settings = found.settings
    if settings.is_local or settings.hourly_rate_usd is not None:
        return None
    changed = {"spot": not candidate.spot, "gpus": candidate.gpus}
    other = replace(found, settings=settings.model_copy(update=changed))
    try:
        price = price_of(other, open_source)
    except CloudError:
        return None
    return candidate.at(price)._replace(spot=not candidate.spot)


def with_each(found: ReadSettings, names: Sequence[str]) -> tuple[ReadSettings, ...]:
    """The settings once for each of these GPUs."""
    settings = [found.settings.model_copy(update={"gpus": name}) for name in names]
    return tuple(replace(found, settings=each) for each in settings)


def _refuse_figures_of_one(found: ReadSettings) -> None:
    given = [key for key in OF_ONE_GPU if key in found.origins]
    if given:
        raise ConfigError(
            f"{given[0]} ({found.origins[given[0]]}) holds for one GPU, but gpus names "
            f"several: {found.settings.gpus.replace(',', ', ')}",
            "leave it out, so that each GPU gets its own price and speed, or give one --gpus",
        )


def offers_by_gpu(
    found: ReadSettings, source: OfferSource
) -> tuple[list[Offer], dict[str, CloudError]]:
    """The offers for each GPU, and why a GPU has none."""
    offers: list[Offer] = []
    missing: dict[str, CloudError] = {}
    for one in each_gpu(found):
        try:
            offers += find_offers(source, wanted_by(one.settings, spot=one.settings.spot)).offers
        except CloudError as error:
            missing[one.settings.gpus] = error
    return offers, missing


def without_room(gpus: str, made: Iterable[tuple[str, Estimate | None]]) -> tuple[str, ...]:
    """The GPUs whose memory is too small for the run, unless `gpus` lists them by name.

    Raises:
        CloudError: that leaves no GPU.
    """
    named, each = named_gpus(gpus), list(made)
    small = [
        name
        for name, run in each
        if run is not None and name not in named and run.given.micro_batches is None
    ]
    if len(small) == len(each):
        raise CloudError(
            f"no GPU of {gpus} that has an offer has enough memory for this run",
            "take a smaller base model, or name the GPU in --gpus",
        )
    return tuple(small)


def left_out(
    gpus: str, missing: Mapping[str, CloudError], small: Sequence[str] = ()
) -> tuple[str, ...]:
    """Why GPUs are left out; `any` may mean GPUs without an offer, which need no sentence."""
    sentences = [missing[name].message for name in missing if name in named_gpus(gpus)]
    if small:
        sentences.append(
            f"left out, since not even one utterance fits in memory: {', '.join(small)}"
        )
    return tuple(sentences)


def none_offered(gpus: str, missing: Mapping[str, CloudError]) -> CloudError:
    """The error if no GPU has an offer: about the first one listed by name."""
    for name in missing:
        if name in named_gpus(gpus):
            return missing[name]
    return CloudError(
        f"there is no offer for any GPU of {gpus}",
        "try another --infra, --spot or --on-demand; `fintts cloud offers` lists what there is",
    )


def choices_of(
    here: Workplace,
    found: ReadSettings,
    open_source: Callable[[], OfferSource],
    inputs: RunInputs,
) -> Choices:
    """The run on each GPU.

    Args:
        open_source: called only if no rate is set, because loading prices takes time.

    Raises:
        CloudError: none of them has an offer, or enough memory.
        ConfigError, CostError, InputError, StoreError: as of `estimate_run`.
    """
    runs: list[RunEstimate] = []
    missing: dict[str, CloudError] = {}
    asked = found.settings.gpus
    for one in each_gpu(found):
        try:
            price = price_of(one, open_source)
        except CloudError as error:
            missing[one.settings.gpus] = error
            continue
        runs.append(estimate_run(here, one, price, inputs))
    if not runs:
        raise none_offered(asked, missing)
    small = without_room(asked, ((each.gpus, each.estimate) for each in runs))
    fitting = (each for each in runs if each.gpus not in small)
    by_cost = sorted(fitting, key=lambda each: each.candidate.expected_usd)
    return Choices(tuple(by_cost), left_out(asked, missing, small))
