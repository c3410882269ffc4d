"""What a run writes about itself: run.json, status.json, result.json and rows of metrics.

Laptop and instance both read and write them, perhaps in different versions of the program, so
unknown keys are passed over.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
)

from fintts_store import layout
from fintts_store.errors import InvalidKey, InvalidRecord
from fintts_store.store import check_key, is_relative_name


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
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InvalidRecord(
                f"{source} cannot be read: {where}: {first['msg']}",
                "it was damaged, or written by another version of fintts",
            ) from None


def _plain_name(name: str) -> str:
    if "/" in name or not is_relative_name(name):
        raise ValueError(f"{name!r} is not the name of a file in a folder")
    return name


PlainName = Annotated[str, AfterValidator(_plain_name)]
"""A file's name that stays in the folder that it is put into, whoever wrote the record"""


def _below(folder: str, ending: str = "") -> AfterValidator:
    """A key, or with the ending `/` a prefix, that stays in a folder of the store."""

    def check(place: str) -> str:
        try:
            check_key(place.removesuffix(ending))
        except InvalidKey as error:
            raise ValueError(error.message) from None
        if not place.startswith(folder) or not place.endswith(ending):
            raise ValueError(f"{place!r} is no place in {folder}")
        return place

    return AfterValidator(check)


class FileRef(Record):
    """A file in the store."""

    name: PlainName
    size_bytes: Annotated[int, Field(ge=0)]
    sha256: str


class DatasetRef(Record):
    """The packed data set."""

    key: Annotated[str, _below(layout.DATASETS)]
    sha256: str
    size_bytes: int
    utterances: int
    frames: int


class BaseModelRef(Record):
    """The base model's folder."""

    name: str
    prefix: Annotated[str, _below(layout.BASE_MODELS, "/")]
    digest: str
    files: tuple[FileRef, ...]
    revision: str | None = None
    """the commit at Hugging Face, where the files are from there"""


class AdapterRef(Record):
    """The adapter that a run begins with."""

    name: str
    prefix: Annotated[str, _below(layout.ADAPTERS, "/")]
    weights_sha256: str
    """says whether two are the same: PEFT writes its configuration in no fixed order"""
    files: tuple[FileRef, ...]


class PriceRef(Record):
    """The price that the estimate was made with, frozen."""

    hourly_rate_usd: Decimal
    source: str
    as_of: str | None = None


class RentalRef(Record):
    """A GPU that a run may get, its price, and what the run was expected to take on it."""

    gpus: str
    price: PriceRef
    estimate: dict[str, JsonValue]


class RunRecord(Record):
    """run.json: what was asked, at which price, with which code."""

    run: str
    created_at: AwareDatetime
    fintts_version: str
    bundle_digest: str | None = None
    config: dict[str, JsonValue]
    dataset: DatasetRef
    base_model: BaseModelRef
    initial_adapter: AdapterRef | None = None
    price: PriceRef
    budget_usd: Decimal | None = None
    deadline_at: AwareDatetime
    estimate: dict[str, JsonValue]
    infra: str
    gpus: str
    """what was asked for first; `price` and `estimate` are of it"""
    alternatives: tuple[RentalRef, ...] = ()
    """what it may get instead, where there is none of the first"""
    spot: bool = False
    revision: int = 0
    """which revision `config` is of; 0 is run.json's own"""

    @property
    def rentals(self) -> tuple[RentalRef, ...]:
        """All that it may get, in the order in which it was asked for."""
        first = RentalRef(gpus=self.gpus, price=self.price, estimate=self.estimate)
        return (first, *self.alternatives)


class Revision(Record):
    """revisions/<number>.json: the whole configuration, from now on in place of run.json's."""

    run: str
    number: Annotated[int, Field(ge=1)]
    created_at: AwareDatetime
    fintts_version: str
    config: dict[str, JsonValue]
    changes: tuple[str, ...]
    """what differs from the one before, for people"""


class Status(Record):
    """status.json: the heartbeat."""

    run: str
    claim: int | None = None
    phase: Phase
    step: int
    max_steps: int
    loss: float | None = None
    validation_value: float | None = None
    best_step: int | None = None
    best_value: float | None = None
    seconds_per_step: float | None = None
    eta_seconds: float | None = None
    started_at: AwareDatetime
    updated_at: AwareDatetime
    deadline_at: AwareDatetime
    last_committed_step: int | None = None
    resume_point: str | None = None
    """id of the checkpoint that the present claim went on from"""
    message: str | None = None
    launch: int | None = None
    """number of the launch that the instance belongs to; None where there was none"""
    gpus: str | None = None
    """that the instance has, as `--gpus` has it"""


class Result(Record):
    """result.json: how the run ended."""

    run: str
    launch: int | None = None
    """number of the launch that ended; None where there was none, or nobody knows"""
    stop_reason: StopReason
    step: int
    best_step: int | None = None
    best_value: float | None = None
    monitor: str
    kept_steps: tuple[int, ...]
    phase_seconds: dict[str, float]
    samples_seen: int
    claims: int
    started_at: AwareDatetime
    ended_at: AwareDatetime
    initial_validation_value: float | None = None
    message: str | None = None


class MetricRow(Record):
    """Numbers of one step or one validation check."""

    # A loss may well be NaN, and that it was must survive: JSON has no number for it.
    model_config = ConfigDict(ser_json_inf_nan="strings")

    step: int
    kind: Literal["train", "validation"]
    values: dict[str, float]
    at: AwareDatetime


class StopRequest(Record):
    """stop.json: somebody wants the run to save and end."""

    run: str
    reason: str
    at: datetime
