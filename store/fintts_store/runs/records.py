"""What a run writes about itself: run.json, status.json, result.json and rows of metrics.

Laptop and instance both read and write them, perhaps in different versions of the program, so
unknown keys are passed over.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from fintts_store import file_names, layout
from fintts_store.errors import InvalidRecord
from fintts_store.runs import limits
from fintts_store.runs.fields import (
    Claim,
    Count,
    HourlyRate,
    Launch,
    Message,
    Moment,
    Name,
    PlainName,
    RunName,
    Seconds,
    SizeBytes,
    SmallJson,
    Step,
    Usd,
    Value,
    below,
)

EXPLANATION_CHARACTERS = 300


class Phase(StrEnum):
    """What a run is doing."""

    PENDING = "pending"
    PROVISIONING = "provisioning"
    SETUP = "setup"
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


class Record(BaseModel):
    """An immutable JSON document."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def dump(self) -> str:
        """One line of JSON."""
        return self.model_dump_json()

    @classmethod
    def load(cls, text: str | bytes, source: str = "record") -> Self:
        """The inverse of `dump`. Raises InvalidRecord, which names the source."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InvalidRecord(
                f"{source} cannot be read: {_explanation(error)}",
                "it was damaged, or written by another version of fintts",
            ) from None


def _explanation(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    text = f"{where}: {first['msg']}" if where else first["msg"]
    shown = text[:EXPLANATION_CHARACTERS]
    return shown if shown == text else f"{shown}…"


class OfRun(Record):
    """A record that says which run it is of, and lies in that run's folder."""

    run: RunName


class FileRef(Record):
    """A file in the store."""

    name: PlainName
    size_bytes: SizeBytes
    sha256: Name


Files = Annotated[tuple[FileRef, ...], Field(max_length=limits.FILES)]


def _none_odd(find: Callable[[Iterable[str]], list[str]], what: str) -> AfterValidator:
    """Refuses files whose names are not on the closed list."""

    def check(files: tuple[FileRef, ...]) -> tuple[FileRef, ...]:
        odd = find(file.name for file in files)
        if odd:
            raise ValueError(f"{odd[0]!r} is not the name of a file of {what}")
        return files

    return AfterValidator(check)


def _dataset_name(key: str) -> str:
    name = key.removeprefix(layout.DATASETS)
    if not file_names.is_weights_name(name):
        raise ValueError(f"{name!r} is not the name of a data set")
    return key


class DatasetRef(Record):
    """The packed data set."""

    key: Annotated[str, below(layout.DATASETS), AfterValidator(_dataset_name)]
    sha256: Name
    size_bytes: SizeBytes
    utterances: Count
    frames: Count


class BaseModelRef(Record):
    """The base model's folder."""

    name: Name
    prefix: Annotated[str, below(layout.BASE_MODELS, "/")]
    digest: Name
    files: Annotated[Files, _none_odd(file_names.odd_in_base_model, "a base model")]
    revision: Name | None = None
    """the commit at Hugging Face, where the files are from there"""


class AdapterRef(Record):
    """The adapter that a run begins with."""

    name: Name
    prefix: Annotated[str, below(layout.ADAPTERS, "/")]
    weights_sha256: Name
    """says whether two are the same: PEFT writes its configuration in no fixed order"""
    files: Annotated[Files, _none_odd(file_names.odd_in_adapter, "an adapter")]


class PriceRef(Record):
    """The price that the estimate was made with, frozen."""

    hourly_rate_usd: HourlyRate
    source: Name
    as_of: Name | None = None


class RentalRef(Record):
    """A GPU that a run may get, its price, and what the run was expected to take on it."""

    gpus: Name
    price: PriceRef
    estimate: SmallJson


class RunRecord(OfRun):
    """run.json: what was asked, at which price, with which code."""

    created_at: Moment
    fintts_version: Name
    bundle_digest: Name | None = None
    config: SmallJson
    dataset: DatasetRef
    base_model: BaseModelRef
    prompt: Name | None = None
    """that the model is trained with; None before runs recorded it"""
    initial_adapter: AdapterRef | None = None
    price: PriceRef
    budget_usd: Usd | None = None
    deadline_at: Moment
    estimate: SmallJson
    infra: Name
    gpus: Name
    """what was asked for first; `price` and `estimate` are of it"""
    alternatives: Annotated[tuple[RentalRef, ...], Field(max_length=limits.RENTALS)] = ()
    """what it may get instead, where there is none of the first"""
    spot: bool = False
    revision: Count = 0
    """which revision `config` is of; 0 is run.json's own"""

    @property
    def rentals(self) -> tuple[RentalRef, ...]:
        """All that it may get, in the order in which it was asked for."""
        first = RentalRef(gpus=self.gpus, price=self.price, estimate=self.estimate)
        return (first, *self.alternatives)


class Revision(OfRun):
    """revisions/<number>.json: the whole configuration, from now on in place of run.json's."""

    number: Annotated[int, Field(ge=1, le=limits.CLAIMS)]
    created_at: Moment
    fintts_version: Name
    config: SmallJson
    changes: Annotated[tuple[Message, ...], Field(max_length=limits.FILES)]
    """what differs from the one before, for people"""


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
    seconds_per_step: Seconds | None = None
    eta_seconds: Seconds | None = None
    started_at: Moment
    updated_at: Moment
    deadline_at: Moment
    last_committed_step: Step | None = None
    resume_point: Name | None = None
    """id of the checkpoint that the present claim went on from"""
    message: Message | None = None
    launch: Launch | None = None
    """number of the launch that the instance belongs to; None where there was none"""
    gpus: Name | None = None
    """that the instance has, as `--gpus` has it"""


class Result(OfRun):
    """result.json: how the run ended."""

    launch: Launch | None = None
    """number of the launch that ended; None where there was none, or it is unknown"""
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
    message: Message | None = None


class MetricRow(Record):
    """Numbers of one step or one validation check."""

    # A loss may well be NaN, and that it was must survive: JSON has no number for it.
    model_config = ConfigDict(ser_json_inf_nan="strings")

    step: Step
    kind: Literal["train", "validation"]
    values: Annotated[dict[Name, float], Field(max_length=limits.ROW_VALUES)]
    at: Moment


class StopRequest(OfRun):
    """stop.json: a request to save and end the run."""

    reason: Message
    at: Moment
