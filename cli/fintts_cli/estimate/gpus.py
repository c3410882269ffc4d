"""The same run on each GPU of a list, and its cost on each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from fintts_cli.errors import CliError, CloudError, ConfigError
from fintts_cli.estimate.run import RunEstimate, estimate_run, price_of
from fintts_cli.places import LOCAL
from fintts_cli.prices.market import most_an_hour
from fintts_cli.settings.gpus import split_gpus
from fintts_cli.views.units import duration
from fintts_cost.money import dollars, hourly
from fintts_cost.plan import Candidate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fintts_cli.prices.source import OfferSource
    from fintts_cli.settings.read import ReadSettings
    from fintts_cli.workplace import Workplace


OF_ONE_GPU = ("hourly_rate_usd", "forecast.seconds_per_step", "forecast.seconds_per_validation")
"""settings that hold for one GPU"""


class RunOnGpu(NamedTuple):
    """Time and cost of the run on one GPU."""

    gpus: str
    run: RunEstimate

    def __str__(self) -> str:
        """`On H100:1 it would cost $4.80 and take 2 h 00 min, at $2.40/h.`"""
        expected = self.run.estimate.expected
        return (
            f"On {self.gpus} it would cost {dollars(expected.cost_usd)} and take "
            f"{duration(float(expected.total_seconds))}, at "
            f"{hourly(expected.price.hourly_rate_usd)}."
        )


class Choices(NamedTuple):
    """The run on each GPU that has an offer."""

    runs: tuple[RunOnGpu, ...]
    """at least one, cheapest first"""
    missing: tuple[str, ...]
    """a sentence for each GPU without an offer"""

    @property
    def cheapest(self) -> RunOnGpu:
        """The run on the GPU where it is expected to cost least."""
        return self.runs[0]

    @property
    def choices(self) -> tuple[Candidate, ...]:
        """The options that a launch plans with."""
        return tuple(Candidate(each.gpus, each.run.estimate) for each in self.runs)


def each_gpu(found: ReadSettings) -> tuple[ReadSettings, ...]:
    """The settings once for each GPU; once for this machine, whose GPUs are given.

    Raises:
        ConfigError: there are several GPUs, and a figure is set that can hold for only one.
    """
    settings = found.settings
    names = split_gpus(settings.gpus)
    if settings.infra == LOCAL:
        names = names[:1]
    if len(names) > 1:
        _refuse_figures_of_one(found)
    return with_each(found, names)


def with_ceilings(
    choices: Sequence[Candidate], found: ReadSettings, open_source: Callable[[], OfferSource]
) -> tuple[Candidate, ...]:
    """The same with the highest price of an hour, which sets the deadline of a spot run."""
    if not found.settings.spot or found.settings.infra == LOCAL:
        return tuple(choices)

    source = open_source()
    each = ((one, found.settings.model_copy(update={"gpus": one.gpus})) for one in choices)
    return tuple(
        one._replace(most_hourly_usd=most_an_hour(source, settings, one.hourly_rate_usd))
        for one, settings in each
    )


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


def choices_of(
    here: Workplace,
    found: ReadSettings,
    open_source: Callable[[], OfferSource],
    samples: int | None = None,
) -> Choices:
    """The run on each GPU.

    Args:
        open_source: called only if no rate is set, because loading prices takes time.
        samples: utterances to train on; None counts those of the data folder.

    Raises:
        CloudError: none of them has an offer.
        ConfigError, CostError, InputError, StoreError: as of `estimate_run`.
    """
    runs: list[RunOnGpu] = []
    missing: list[CliError] = []
    for one in each_gpu(found):
        try:
            price = price_of(one, open_source)
        except CloudError as error:
            missing.append(error)
            continue
        runs.append(RunOnGpu(one.settings.gpus, estimate_run(here, one, price, samples)))
    if not runs:
        raise missing[0]
    by_cost = sorted(runs, key=lambda each: each.run.estimate.cost_usd)
    return Choices(tuple(by_cost), tuple(error.message for error in missing))
