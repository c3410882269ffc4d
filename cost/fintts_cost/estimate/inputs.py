"""What an estimate is made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from fintts_cost.amounts import Amount, exact
from fintts_cost.checks import MAX_BYTES, MAX_SECONDS, require_amount, require_count, require_rate
from fintts_cost.errors import EstimateError
from fintts_cost.estimate.bill import Bill, Durations
from fintts_cost.interval import Interval
from fintts_cost.training.early_stopping import EarlyStopping
from fintts_cost.training.schedule import Schedule

if TYPE_CHECKING:
    from fintts_cost.gpus.accelerators import Accelerator
    from fintts_cost.gpus.memory import MeasuredPeak, MemoryModel
    from fintts_cost.money import Price
    from fintts_cost.training.loss_levels import Head


MAX_KEEP_LAST = 100_000


NO_ENCODING = Interval.exactly(0.0)

PaceKind = Literal["given", "measured", "forecast"]
"""Where the time of a step comes from: you, runs that were measured, or the GPU's data sheet."""


@dataclass(frozen=True)
class EstimateInput:
    """The inputs of an estimate. Floats count as their decimal notation.

    Raises:
        ScheduleError: steps, batches and cadences do not fit each other or the data.
        EarlyStoppingError: the patience is below 1.
        EstimateError: a duration, size or rate is negative, not finite, or absurd.
    """

    samples: int
    seconds_per_step: Amount
    price: Price
    batch_size: int = 8
    gradient_accumulation: int = 1
    max_steps: int = 3000
    steps: int | None = None
    """the step where the run is expected to stop; None is max_steps"""
    validation_every: int = 100
    seconds_per_validation: Amount = 0
    checkpoint_every: int = 100
    checkpoint_bytes: int = 0
    """of one checkpoint"""
    checkpoint_seconds: Amount = 0
    """how long one checkpoint holds up the training"""
    keep_last: int = 5
    keep_best: bool = True
    """in addition to the last ones"""
    patience: int | None = 5
    """validation checks; None turns early stopping off"""
    samples_every: int = 1
    """validation checks between what is spoken"""
    seconds_per_samples: Amount = 0
    """the most that speaking takes each time; 0 speaks nothing"""
    setup_seconds: Amount = 0
    teardown_seconds: Amount = 0
    speech_seconds: float = 0.0
    """of recordings that the run encodes before it trains"""
    encoding: Interval = NO_ENCODING
    """seconds that this takes"""
    encoding_source: str = ""
    seconds_per_step_source: str = "option"
    fast_seconds_per_step: Amount | None = None
    """at the fast end of a forecast; None if the pace is known"""
    fast_seconds_per_validation: Amount | None = None
    slow_seconds_per_step: Amount | None = None
    """at the slow end"""
    slow_seconds_per_validation: Amount | None = None
    pace_kind: PaceKind = "given"
    tokens_per_step: float | None = None
    """positions of a full step without padding; None if unknown"""
    monitor: str = "val/loss"
    memory: MemoryModel | None = None
    measured_peak: MeasuredPeak | None = None
    accelerator: Accelerator | None = None
    heads: tuple[Head, ...] = ()

    @property
    def micro_batches(self) -> int | None:
        """Into how many parts a batch must be split to fit in the GPU's memory, as far as both are
        known: 1 for none, None if not even one sample fits."""
        if self.memory is None or self.accelerator is None:
            return 1
        return self.memory.micro_batches(self.batch_size, self.accelerator.memory_bytes)

    def __post_init__(self) -> None:
        self._check_steps()
        self._check_amounts()
        if self.patience is not None:
            EarlyStopping(patience=self.patience)
        require_count(
            EstimateError, "--checkpoint-bytes", self.checkpoint_bytes, MAX_BYTES, least=0
        )
        require_count(EstimateError, "--keep-last", self.keep_last, MAX_KEEP_LAST)
        require_count(EstimateError, "samples.every", self.samples_every)

    def _check_steps(self) -> None:
        most = self.schedule.max_steps
        if self.steps is None:
            return
        require_count(EstimateError, "--steps", self.steps)
        if self.steps > most:
            raise EstimateError(
                f"--steps {self.steps:,} is beyond --max-steps {most:,}",
                "a run ends at --max-steps at the latest: raise it, or expect fewer steps",
            )

    def _check_amounts(self) -> None:
        limits: tuple[tuple[str, Amount, int], ...] = (
            ("--seconds-per-validation", self.seconds_per_validation, MAX_SECONDS),
            ("--checkpoint-seconds", self.checkpoint_seconds, MAX_SECONDS),
            ("samples.seconds_a_check", self.seconds_per_samples, MAX_SECONDS),
            ("--setup-seconds", self.setup_seconds, MAX_SECONDS),
            ("--teardown-seconds", self.teardown_seconds, MAX_SECONDS),
            ("encoding", self.encoding.high, MAX_SECONDS),
        )
        for option, value, most in limits:
            require_amount(EstimateError, option, value, most)
        require_rate(EstimateError, "--hourly-rate", self.price.hourly_rate_usd)
        require_amount(
            EstimateError,
            "--seconds-per-step",
            self.seconds_per_step,
            MAX_SECONDS,
            above_zero=True,
        )

    @cached_property
    def schedule(self) -> Schedule:
        """The run's cadence."""
        return Schedule(
            samples=self.samples,
            batch_size=self.batch_size,
            gradient_accumulation=self.gradient_accumulation,
            max_steps=self.max_steps,
            validation_every=self.validation_every,
            checkpoint_every=self.checkpoint_every,
        )

    @property
    def stop_step(self) -> int:
        """The step where the run is expected to stop."""
        return self.max_steps if self.steps is None else self.steps

    @property
    def rule_stop_step(self) -> int | None:
        """The first step at which early stopping can fire; None without it."""
        if self.patience is None:
            return None
        return EarlyStopping(patience=self.patience).earliest_stop_step(self.validation_every)

    @property
    def earliest_stop_step(self) -> int:
        """The earliest possible stop, at most the expected one."""
        rule = self.rule_stop_step
        return self.stop_step if rule is None else min(rule, self.stop_step)

    @property
    def at_fast_end(self) -> EstimateInput:
        """The same run at the fast end of its forecast; unchanged if the pace is known."""
        ends = self.fast_seconds_per_step, self.fast_seconds_per_validation
        return self._at(*ends, Interval.exactly(self.encoding.low))

    @property
    def at_slow_end(self) -> EstimateInput:
        """The same run at the slow end of its forecast; unchanged if the pace is known."""
        ends = self.slow_seconds_per_step, self.slow_seconds_per_validation
        return self._at(*ends, Interval.exactly(self.encoding.high))

    @property
    def pace(self) -> Interval:
        """Seconds of a step; exact if the pace is known."""
        ends = self.at_fast_end, self, self.at_slow_end
        return Interval(*(float(end.seconds_per_step) for end in ends))

    def _at(self, step: Amount | None, check: Amount | None, encoding: Interval) -> EstimateInput:
        if step is None:
            return self if encoding == self.encoding else replace(self, encoding=encoding)
        return replace(
            self,
            encoding=encoding,
            seconds_per_step=step,
            seconds_per_validation=self.seconds_per_validation if check is None else check,
            fast_seconds_per_step=None,
            fast_seconds_per_validation=None,
            slow_seconds_per_step=None,
            slow_seconds_per_validation=None,
        )

    def times_spoken(self, steps: int) -> int:
        """How often a run that stops after this step speaks: at its start, and after checks."""
        if not self.seconds_per_samples:
            return 0
        return 1 + self.schedule.validation_checks(steps) // self.samples_every

    def durations(self, steps: int) -> Durations:
        """The seconds of a run that stops after this step."""
        checks = self.schedule.validation_checks(steps)
        checkpoints = self.schedule.checkpoints(steps)
        return Durations(
            setup_seconds=exact(self.setup_seconds),
            training_seconds=steps * exact(self.seconds_per_step),
            validation_seconds=checks * exact(self.seconds_per_validation),
            checkpoint_seconds=checkpoints * exact(self.checkpoint_seconds),
            teardown_seconds=exact(self.teardown_seconds),
            samples_seconds=self.times_spoken(steps) * exact(self.seconds_per_samples),
            encoding_seconds=exact(self.encoding.likely),
        )

    def bill(self, steps: int) -> Bill:
        """The bill of a run that stops after this step."""
        return Bill(steps, self.durations(steps), self.price)
