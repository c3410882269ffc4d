"""From settings to the numbers of an estimate: each is set, else measured, else computed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.errors import ConfigError
from fintts_cli.estimate.work import samples_per_step, seconds_on, work_of_step
from fintts_cli.places import FETCHED_BYTES_PER_SECOND, SETUP_SECONDS, TEARDOWN_SECONDS
from fintts_cli.settings.given import OPTION
from fintts_cli.settings.gpus import parse_gpus
from fintts_cost.estimate.inputs import EstimateInput
from fintts_cost.gpus.memory import MemoryModel
from fintts_cost.interval import Interval
from fintts_cost.pace.encoding import (
    SHARES_OF_PEAK,
    seconds_as_measured,
    seconds_of_encoding,
)
from fintts_cost.pace.throughput import efficiency
from fintts_cost.plan.reserve import Reserve
from fintts_cost.training.checkpoint_storage import lora_checkpoint_bytes
from fintts_cost.training.loss_levels import Head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fintts_cli.estimate.figures import MeasuredPace, Workload
    from fintts_cli.settings.model import Settings
    from fintts_cost.estimate.inputs import PaceKind
    from fintts_cost.money import Price
    from fintts_inputs.base_model.shape import ModelShape

STOP_STEP = "forecast.stop_step"
FORWARD_SHARE = 0.5
"""of a training pass with a frozen base: 2 of the 4 FLOPs a parameter and token"""


BYTES_PER_ACTIVATION = 34
"""for each value of the hidden state in each layer, in 16 bits (Korthikanti et al. 2022,
arXiv:2205.05198)"""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number as a range, and its source."""

    value: Interval
    source: str
    kind: PaceKind


@dataclass(frozen=True, slots=True)
class KnownFigures:
    """Everything that an estimate can use; None for what is not known."""

    settings: Settings
    origins: Mapping[str, str]
    """dotted key → origin of its value"""
    workload: Workload
    shape: ModelShape | None
    measured: MeasuredPace | None
    price: Price
    speaking_bytes: int = 0
    """of the codec beside the model and of what measures, in a run that speaks"""
    fetched_bytes: int = 0
    """of the codec that the instance fetches, to speak or to encode"""
    speech_seconds: float = 0.0
    """of recordings that the run encodes first"""
    seconds_per_speech: tuple[float, str] | None = None
    """what an earlier run on this GPU took to encode a second of speech, and which"""

    @property
    def is_local(self) -> bool:
        """Whether the run trains on this machine."""
        return self.settings.is_local

    @property
    def samples_per_step(self) -> int:
        """Utterances in all micro-batches of a step."""
        return samples_per_step(self.settings.training)


def estimate_input(known: KnownFigures) -> EstimateInput:
    """Everything that `fintts_cost.estimate.result.estimate` needs.

    Raises:
        ConfigError: there is nothing to forecast the speed from.
        CostError: the numbers do not fit each other.
    """
    settings = known.settings
    early_stopping = settings.early_stopping
    step = pace_of_steps(known)
    check = _validation_seconds(known, step.value)
    fast_step, slow_step = _ends(step.value)
    fast_check, slow_check = _ends(check)
    accelerator, _ = parse_gpus(settings.first_gpus)
    encoding = encoding_of(known)
    return EstimateInput(
        samples=known.workload.samples,
        batch_size=settings.training.batch_size,
        gradient_accumulation=settings.training.gradient_accumulation,
        max_steps=settings.training.max_steps,
        steps=stop_step(settings, known.origins),
        seconds_per_step=step.value.likely,
        seconds_per_step_source=step.source,
        pace_kind=step.kind,
        fast_seconds_per_step=fast_step,
        fast_seconds_per_validation=fast_check,
        slow_seconds_per_step=slow_step,
        slow_seconds_per_validation=slow_check,
        tokens_per_step=known.samples_per_step * known.workload.tokens,
        validation_every=settings.validation.every,
        seconds_per_validation=check.likely,
        checkpoint_every=settings.checkpoints.every,
        checkpoint_bytes=_checkpoint_bytes(known),
        keep_last=settings.checkpoints.keep_last,
        keep_best=settings.checkpoints.keep_best,
        patience=early_stopping.patience if early_stopping.enabled else None,
        monitor=early_stopping.monitor,
        samples_every=settings.samples.every,
        seconds_per_samples=settings.samples.seconds_a_check if settings.samples.is_on else 0,
        setup_seconds=_setup_seconds(known),
        speech_seconds=known.speech_seconds,
        encoding=encoding.value,
        encoding_source=encoding.source,
        teardown_seconds=_or(settings.forecast.teardown_seconds, TEARDOWN_SECONDS[known.is_local]),
        price=known.price,
        accelerator=None if known.is_local else accelerator,
        memory=None if known.shape is None else _memory(known, known.shape),
        heads=() if known.shape is None else _heads(known.shape),
    )


def stop_step(settings: Settings, origins: Mapping[str, str]) -> int | None:
    """The step where the run is expected to stop; None for its last one.

    A step beyond the last one counts as the last one, unless you typed it for this command.
    """
    step, most = settings.forecast.stop_step, settings.training.max_steps
    if step is None or origins.get(STOP_STEP, OPTION) == OPTION:
        return step
    return min(step, most)


def stop_note(settings: Settings, origins: Mapping[str, str]) -> tuple[str, ...]:
    """Says that the expected stop lies beyond the run's last step, if it does."""
    step, most = settings.forecast.stop_step, settings.training.max_steps
    if step is None or step <= most:
        return ()
    return (
        f"{STOP_STEP} ({origins.get(STOP_STEP, OPTION)}) is {step:,}, beyond training.max_steps "
        f"{most:,}: the estimate takes {most:,}",
    )


def pace_of_steps(known: KnownFigures) -> Figure:
    """Seconds of one step: as set, else as measured, else from its work.

    Raises:
        ConfigError: the time is neither set nor known.
    """
    given = known.settings.forecast.seconds_per_step
    if given is not None:
        origin = known.origins.get("forecast.seconds_per_step", OPTION)
        return Figure(Interval.exactly(given), origin, "given")
    if known.measured is not None:
        return Figure(known.measured.seconds_per_step, known.measured.source, "measured")
    if known.is_local:
        raise ConfigError(
            "the time of a step on this machine has not been measured",
            "once data and base_model are set, `fintts estimate` trains a few steps to find out",
        )
    if known.shape is None:
        raise _unknown_speed("the time of a step cannot be forecast without a base model")
    return _forecast(known, known.shape)


def _forecast(known: KnownFigures, shape: ModelShape) -> Figure:
    """From the GPU's data sheet and the work of a step."""
    settings, gpus = known.settings, known.settings.first_gpus
    accelerator, _ = parse_gpus(gpus)
    parts = _memory(known, shape).micro_batches(
        settings.training.batch_size, accelerator.memory_bytes
    )
    work = work_of_step(shape, settings.lora, settings.training, known.workload, parts or 1)
    low, likely, high = efficiency(accelerator)
    source = (
        f"forecast at {likely:.0%} of the peak of {gpus} ({high:.0%} to {low:.1%}), or "
        f"{work.launches:,} launches"
    )
    return Figure(seconds_on(work, gpus), source, "forecast")


def encoding_of(known: KnownFigures) -> Figure:
    """Seconds to encode the recordings, by one GPU even if the run has several."""
    speech = known.speech_seconds
    if known.seconds_per_speech is not None:
        factor, source = known.seconds_per_speech
        return Figure(seconds_as_measured(speech, factor), f"measured by {source}", "measured")
    if known.is_local:
        return Figure(
            seconds_of_encoding(speech, None),
            "no run has measured it here; a guess for a codec on a CPU",
            "forecast",
        )
    accelerator, _ = parse_gpus(known.settings.first_gpus)
    low, likely, high = SHARES_OF_PEAK
    return Figure(
        seconds_of_encoding(speech, accelerator),
        f"no run of yours has measured it; computed at {likely:.0%} ({high:.0%} to {low:.0%}) of "
        f"the float32 peak of {accelerator.name}",
        "forecast",
    )


def _unknown_speed(sentence: str) -> ConfigError:
    return ConfigError(
        sentence,
        "set forecast.seconds_per_step in fintts.yaml, or give it as --seconds-per-step",
    )


def _validation_seconds(known: KnownFigures, step: Interval) -> Interval:
    """A check is a forward pass over the held-out utterances: half the work of training on them."""
    given, measured = known.settings.forecast.seconds_per_validation, known.measured
    if given is not None:
        return Interval.exactly(given)
    if measured is not None and measured.seconds_per_validation is not None:
        return step.times(measured.seconds_per_validation / step.likely)
    return step.times(FORWARD_SHARE * known.workload.held_out / known.samples_per_step)


def _ends(value: Interval) -> tuple[float | None, float | None]:
    """The fast and the slow end; None if the value is known."""
    return (None, None) if value.is_exact else (value.low, value.high)


def _setup_seconds(known: KnownFigures) -> float:
    """As set, else as measured without a codec, with the time to fetch the codec of this run."""
    given = known.settings.forecast.setup_seconds
    if given is not None:
        return given
    seen = known.measured.setup_seconds if known.measured is not None else None
    fetching = 0.0 if known.is_local else known.fetched_bytes / FETCHED_BYTES_PER_SECOND
    return _or(seen, SETUP_SECONDS[known.is_local]) + fetching


def reserve_of(settings: Settings) -> Reserve:
    """What a budget reserves for ending the instance."""
    forecast = settings.forecast.teardown_seconds
    if settings.is_local:
        return Reserve.here(_or(forecast, TEARDOWN_SECONDS[True]))
    kept = Reserve.spot if settings.spot else Reserve.on_demand
    return kept(_or(forecast, 0.0))


def _or(number: float | None, otherwise: float) -> float:
    return otherwise if number is None else number


def _checkpoint_bytes(known: KnownFigures) -> int:
    """Bytes of a checkpoint; 0 if neither the size nor the model is known."""
    given, lora = known.settings.forecast.checkpoint_bytes, known.settings.lora
    if given is not None:
        return given
    if known.shape is None:
        return 0
    return lora_checkpoint_bytes(known.shape.lora_parameters(lora.rank, lora.targets))


def _memory(known: KnownFigures, shape: ModelShape) -> MemoryModel:
    """Computed memory: base and activations in 16 bits; codec, adapter, gradient and Adam in 32."""
    workload, lora = known.workload, known.settings.lora
    adapter = 4 * shape.lora_parameters(lora.rank, lora.targets)
    rows = 0.0 if shape.second is None else workload.frames * shape.num_codebooks
    slow = (workload.text_tokens + workload.frames) * shape.slow.dim * shape.slow.layers
    fast = sum(rows * stack.dim * stack.layers for stack in shape.stacks[1:])
    logits = 4 * workload.frames * shape.vocab_size + 4 * rows * shape.code_choices
    return MemoryModel(
        weights_bytes=2 * shape.parameters + known.speaking_bytes,
        adapter_bytes=adapter,
        gradient_bytes=adapter,
        optimizer_bytes=2 * adapter,
        sample_bytes=round(BYTES_PER_ACTIVATION * (slow + fast) + logits),
    )


def _heads(shape: ModelShape) -> tuple[Head, ...]:
    text = Head("vocabulary", shape.vocab_size)
    return (text,) if shape.second is None else (text, Head("codebook", shape.code_choices))
