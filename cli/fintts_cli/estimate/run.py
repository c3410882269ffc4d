"""The estimate of a configured run, from its inputs and from earlier runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING

from fintts_cli.errors import ConfigError
from fintts_cli.estimate.forecast import KnownFigures, estimate_input, reserve_of, stop_note
from fintts_cli.places import LOCAL, cloud_of
from fintts_cli.prices.market import cheapest_offer
from fintts_cli.settings.facts import Facts
from fintts_cli.views.units import counted
from fintts_cost.amounts import exact
from fintts_cost.estimate.extras import AWS, Extras, extras_of
from fintts_cost.estimate.result import Estimate, estimate
from fintts_cost.money import Price
from fintts_cost.plan.candidate import Candidate, Terms
from fintts_cost.plan.launch import plan_launch
from fintts_cost.training.schedule import Schedule
from fintts_store.opening import backend_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from fintts_cli.estimate.figures import MeasuredPace, Workload
    from fintts_cli.estimate.run_inputs import RunInputs
    from fintts_cli.prices.source import OfferSource
    from fintts_cli.settings.model import Settings
    from fintts_cli.settings.read import ReadSettings
    from fintts_cli.workplace.workplace import Workplace
    from fintts_inputs.base_model.shape import ModelShape


FLAC_BYTES_PER_SECOND = 60_000
"""of speech in one channel at 44.1 kHz and 16 bits, two thirds of a WAV: an upper value"""
ENCODED_FIRST = (
    "These are recordings, which the run encodes first; once a run has encoded them, the next ones "
    "on the same recordings use its codes.",
)
UNLIMITED = timedelta(days=3650)
"""A run on your own machine ends when you want it to."""


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """The run on one GPU, and what its bill was computed from."""

    candidate: Candidate
    workload: Workload
    notes: tuple[str, ...]
    extras: Extras
    """its costs other than the GPU"""
    facts: Facts
    """what the rules about senseless settings need to know"""

    @property
    def gpus(self) -> str:
        """The GPU, as `--gpus` names it."""
        return self.candidate.gpus

    @property
    def estimate(self) -> Estimate:
        """The bill."""
        return self.candidate.estimate


def price_of(found: ReadSettings, open_source: Callable[[], OfferSource]) -> Price:
    """The rate that is set, else $0 on this machine, else the cheapest offer's rate.

    Args:
        open_source: called only if no rate is set, because loading prices takes time.

    Raises:
        CloudError: no rate is set, and there is no offer.
    """
    settings = found.settings
    if settings.hourly_rate_usd is not None:
        return Price(
            exact(settings.hourly_rate_usd), found.origins.get("hourly_rate_usd", "option")
        )
    if settings.is_local:
        return Price(Decimal(0), "this machine")

    return cheapest_offer(open_source(), settings).price


def estimate_run(
    here: Workplace, found: ReadSettings, price: Price, inputs: RunInputs
) -> RunEstimate:
    """The bill of the run that is configured.

    Raises:
        ConfigError: a figure is neither set nor known.
        CostError: the numbers do not fit each other.
        InputError: the data folder or the base model cannot be used.
        StoreError: earlier runs cannot be read.
    """
    settings = found.settings
    workload = inputs.workload
    shape = inputs.shape(is_needed=settings.forecast.seconds_per_step is None)
    recorded = inputs.from_recordings
    known = KnownFigures(
        settings=settings,
        origins=found.origins,
        workload=workload,
        shape=shape,
        measured=pace_before(here, settings, inputs),
        price=price,
        speaking_bytes=inputs.speaking_bytes(settings),
        fetched_bytes=inputs.speaking_bytes(settings) or inputs.fetched_codec_bytes,
        speech_seconds=0.0 if recorded is None else recorded.speech_seconds,
        seconds_per_speech=encoding_before(settings, inputs),
    )
    notes = (*_notes(inputs), *stop_note(settings, found.origins))
    made = estimate(estimate_input(known))
    facts = _facts(settings, workload, shape)
    candidate = Candidate(settings.gpus, made, spot=settings.spot and not settings.is_local)
    extras = _extras(here, settings, price, made, known.fetched_bytes)
    return RunEstimate(candidate, workload, notes, extras, facts)


def facts_of(settings: Settings, inputs: RunInputs) -> Facts:
    """What the rules about senseless settings need to know, if there is no estimate.

    Raises:
        ConfigError, InputError: data folder or base model cannot be used.
    """
    return _facts(settings, inputs.workload, inputs.shape(is_needed=True))


def _facts(settings: Settings, workload: Workload, shape: ModelShape | None) -> Facts:
    width = None if shape is None else min(stack.dim for stack in shape.stacks)
    return Facts(settings, workload.samples, width)


def _cloud_of_store(here: Workplace, settings: Settings) -> str | None:
    url = here.store_url(settings)
    return backend_of(url).cloud(url)


def _extras(
    here: Workplace, settings: Settings, price: Price, made: Estimate, codec_bytes: int
) -> Extras:
    """The store that the costs assume: AWS S3 if none is set, since instances need to reach it."""
    is_rented = not settings.is_local
    is_in_s3 = is_rented if settings.store is None else _cloud_of_store(here, settings) == AWS
    cloud = cloud_of(settings.infra) or price.cloud
    return extras_of(
        made,
        is_rented=is_rented,
        cloud=cloud,
        is_in_s3=is_in_s3,
        data_bytes=codec_bytes + round(made.given.speech_seconds * FLAC_BYTES_PER_SECOND),
        has_own_image=settings.image is not None,
    )


def terms_here(here: Workplace, found: ReadSettings, inputs: RunInputs, now: datetime) -> Terms:
    """The limits of a run on this machine, which costs nothing unless a rate is set.

    Raises:
        OverBudget: a rate and a budget are set, and the expected run costs more.
        CostError: the numbers do not fit each other.
        InputError: the data folder or the base model cannot be used.
    """
    settings = found.settings
    rate = settings.hourly_rate_usd or Decimal(0)
    price = Price(rate, found.origins.get("hourly_rate_usd", "this machine"))
    gpus = settings.first_gpus
    terms = Terms(
        infra=LOCAL,
        gpus=gpus,
        price=price,
        estimate=None,
        spot=False,
        budget_usd=settings.budget_usd,
        deadline_at=(now + UNLIMITED).replace(microsecond=0),
    )
    try:
        made = estimate_run(here, found, price, inputs).estimate
    except ConfigError:  # the time of a step here is not known yet
        _check_schedule(settings, inputs.workload)
        return terms
    if settings.budget_usd is not None and rate > 0:
        plan = plan_launch([Candidate(gpus, made)], settings.budget_usd, reserve_of(settings))
        terms = replace(terms, deadline_at=plan.deadline_from(now))
    return replace(terms, estimate=made)


def _check_schedule(settings: Settings, workload: Workload) -> None:
    """Raises ScheduleError if steps, batches and data do not fit each other."""
    Schedule(
        samples=workload.samples,
        batch_size=settings.training.batch_size,
        gradient_accumulation=settings.training.gradient_accumulation,
        max_steps=settings.training.max_steps,
        validation_every=settings.validation.every,
        checkpoint_every=settings.checkpoints.every,
    )


def pace_before(here: Workplace, settings: Settings, inputs: RunInputs) -> MeasuredPace | None:
    """The pace of earlier runs; None if a pace is set, or if the base model is not on this machine,
    since it cannot be compared then.

    Raises:
        ConfigError, InputError: data or base model cannot be read.
        StoreError: earlier runs cannot be read.
    """
    sizes = inputs.model_sizes
    if settings.forecast.seconds_per_step is not None or sizes is None:
        return None
    # What reads the records of runs takes as long to load as a whole estimate.
    from fintts_cli.estimate.measured_pace import Wanted, measured_pace

    wanted = Wanted(settings, inputs.shape(is_needed=False), inputs.workload)
    return measured_pace(here.state, wanted, inputs.past_runs, sizes)


def encoding_before(settings: Settings, inputs: RunInputs) -> tuple[float, str] | None:
    """What earlier runs on this GPU took to encode a second of speech, and which; None if there is
    none, or nothing to encode."""
    recorded = inputs.from_recordings
    if recorded is None or not recorded.speech_seconds or inputs.model_sizes is None:
        return None
    gpus = None if settings.is_local else settings.first_gpus
    known = [
        (factor, each.record.run)
        for each in inputs.past_runs
        if each.gpus == gpus and (factor := each.seconds_per_speech) is not None
    ]
    if not known:
        return None
    name = f"run {known[0][1]}" if len(known) == 1 else f"{len(known)} runs"
    return median(factor for factor, _ in known), name


def _notes(inputs: RunInputs) -> tuple[str, ...]:
    if inputs.folder is None:
        return ()

    workload, unpaired = inputs.workload, inputs.unpaired
    left_out = (f"{unpaired:,} without a partner not counted: `fintts data check` names them.",)
    return (
        f"{inputs.folder} has {counted(workload.samples, 'utterance')} to train on, "
        f"and holds out {workload.held_out:,} for validation.",
        *(left_out if unpaired else ()),
        *(ENCODED_FIRST if inputs.from_recordings is not None and inputs.checked is None else ()),
    )
