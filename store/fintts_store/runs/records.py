"""What a run writes while it works and when it ends: status, result, rows of metrics, requests.

Laptop and instance both read and write them, possibly with different versions of the program, so
unknown keys are ignored.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from fintts_store.runs import limits
from fintts_store.runs.fields import (
    Claim,
    Count,
    Launch,
    Message,
    Moment,
    Name,
    Quantity,
    Seconds,
    Step,
    Value,
)
from fintts_store.runs.record import OfRun, Record


class Phase(StrEnum):
    """What a run is doing."""

    PENDING = "pending"
    PROVISIONING = "provisioning"
    SETUP = "setup"
    ENCODING = "encoding"
    TRAINING = "training"
    VALIDATING = "validating"
    SAVING = "saving"
    STOPPING = "stopping"
    TEARING_DOWN = "tearing-down"
    DONE = "done"
    FAILED = "failed"


class StopReason(StrEnum):
    """Why a run ended."""

    MAX_STEPS = "max_steps"
    EARLY_STOPPING = "early_stopping"
    DEADLINE = "deadline"
    REQUESTED = "requested"
    NAN_LOSS = "nan_loss"
    FAILED = "failed"

    @property
    def is_failure(self) -> bool:
        """Whether the run could not go on."""
        return self in (StopReason.NAN_LOSS, StopReason.FAILED)


class StopForecast(Record):
    """When the run ends, by early stopping or at max_steps: P10, P50 and P90 of a forecast.

    The seconds are those to go when the heartbeat was written, as those of `eta_seconds`.
    """

    checks: Count
    """validation checks that the forecast knows"""
    low_step: Step
    likely_step: Step
    high_step: Step
    low_seconds: Seconds | None = None
    likely_seconds: Seconds | None = None
    high_seconds: Seconds | None = None
    improvement: Annotated[float, Field(ge=0, le=limits.VALUE)]
    """by how much the best value is expected to improve until then"""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        steps = [self.low_step, self.likely_step, self.high_step]
        times = [self.low_seconds, self.likely_seconds, self.high_seconds]
        known = [seconds for seconds in times if seconds is not None]
        if steps != sorted(steps) or known != sorted(known):
            raise ValueError("low, likely and high are not in order")
        if len(known) not in (0, len(times)):
            raise ValueError("only some of low, likely and high are set")
        return self


class SecondsRange(Record):
    """P10, P50 and P90 of a duration."""

    low: Seconds
    likely: Seconds
    high: Seconds

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low <= self.likely <= self.high:
            raise ValueError("low, likely and high are not in order")
        return self


class Replan(Record):
    """What an instance forecasts of its own run once it has measured some steps. It is the rest of
    the run, forecast at one moment and not renewed with each heartbeat.

    So what it forecasts of the whole run is the time from `started_at` of the run to `measured_at`,
    and `seconds_left`.
    """

    step: Step
    """finished when it was made"""
    measured_at: Moment
    seconds_per_token: SecondsRange
    """of training; a token is a position of an utterance, text or frame, without padding"""
    seconds_left: SecondsRange
    """from `measured_at` to max_steps, with checks and saves, as if there were no deadline and no
    early stopping"""
    phase_seconds: Annotated[dict[Name, SecondsRange], Field(max_length=limits.ROW_VALUES)] = Field(
        default_factory=dict[str, SecondsRange]
    )
    """of the whole run, by the phases of `Result.phase_seconds`: what they took and what is to
    come. Teardown is the last upload, since an instance cannot see its own end. Empty from earlier
    versions"""
    checks_that_fit: Count
    """validation checks of the whole run that end before the deadline, including those made"""


class Work(Record):
    """How fast the trainer works at its newest step, and how much of the device it uses."""

    tokens_per_second: Quantity | None = None
    mfu: Quantity | None = None
    """model FLOPs utilisation, as a share of this device's measured peak"""
    memory_peak_bytes: Quantity | None = None
    """of the trainer: on the GPU, or of its process on a CPU"""
    gpu_memory_bytes: Quantity | None = None
    """the whole memory of the GPU"""
    gpu_utilisation: Quantity | None = None
    """the share of time in which the GPU worked, sampled by NVML"""


class Encoded(Record):
    """What a run has encoded by itself, in all its jobs."""

    speech_seconds: Seconds
    """of recordings"""
    seconds: Seconds
    """that it took, without the time to fetch the codec"""


class Status(OfRun):
    """status.json: the heartbeat."""

    claim: Claim | None = None
    phase: Phase
    step: Step
    max_steps: Step
    loss: Value = None
    validation_value: Value = None
    best_step: Step | None = None
    best_value: Value = None
    checks_without_improvement: Count | None = None
    """in a row, as early stopping counts them"""
    seconds_per_step: Seconds | None = None
    eta_seconds: Seconds | None = None
    started_at: Moment
    updated_at: Moment
    deadline_at: Moment
    stop_forecast: StopForecast | None = None
    """None before a few checks, without early stopping, and from earlier versions"""
    replan: Replan | None = None
    """None before some steps are measured, and from earlier versions"""
    last_committed_step: Step | None = None
    resume_point: Name | None = None
    """id of the checkpoint that the current claim resumed from"""
    message: Message | None = None
    said: Message | None = None
    """the newest line of the log"""
    encoded: Encoded | None = None
    """None if it has encoded nothing, and from earlier versions"""
    work: Work | None = None
    """None before the first step, and from earlier versions"""
    launch: Launch | None = None
    """number of the instance's launch; None without a launch"""
    gpus: Name | None = None
    """the instance's GPUs, as in `--gpus`"""


class Result(OfRun):
    """result.json: how the run ended."""

    launch: Launch | None = None
    """number of the launch that ended; None without a launch, or if unknown"""
    stop_reason: StopReason
    step: Step
    best_step: Step | None = None
    best_value: Value = None
    monitor: Name
    kept_steps: Annotated[tuple[Step, ...], Field(max_length=limits.KEPT_STEPS)]
    phase_seconds: Annotated[dict[Name, Seconds], Field(max_length=limits.ROW_VALUES)]
    samples_seen: Count
    claims: Claim
    started_at: Moment
    ended_at: Moment
    initial_validation_value: Value = None
    missing_samples: Count = 0
    """samples that could not be spoken, or did not reach the store"""
    encoded: Encoded | None = None
    """as in `Status`"""
    message: Message | None = None


MetricKind = Literal["train", "validation", "eval"]


class MetricRow(Record):
    """Numbers of one step, of one validation check, or of the samples of one check."""

    # A loss can be NaN, which JSON has no number for and which must be kept.
    model_config = ConfigDict(ser_json_inf_nan="strings")

    step: Step
    kind: MetricKind
    values: Annotated[dict[Name, float], Field(max_length=limits.ROW_VALUES)]
    at: Moment


class StopRequest(OfRun):
    """stop.json: a request to save and end the run."""

    reason: Message
    at: Moment
