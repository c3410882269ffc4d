"""The records of a run: run.json, status.json, result.json and rows of metrics.

Laptop and instance both read and write them, possibly with different versions of the program, so
unknown keys are ignored.
"""

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from fintts_store import file_names, layout
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
    Quantity,
    Seconds,
    SizeBytes,
    SmallJson,
    Step,
    Usd,
    Value,
    below,
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


class FileRef(Record):
    """A file in the store."""

    name: PlainName
    size_bytes: SizeBytes
    sha256: Name


Files = Annotated[tuple[FileRef, ...], Field(max_length=limits.FILES)]
_ENCODED_FOLDER = re.compile(layout.ENCODED + "[0-9a-f]{64}")


def _none_odd(find: Callable[[Iterable[str]], list[str]], what: str) -> AfterValidator:
    """Refuses files whose names are not on the closed list."""

    def check(files: tuple[FileRef, ...]) -> tuple[FileRef, ...]:
        odd = find(file.name for file in files)
        if odd:
            raise ValueError(f"{odd[0]!r} is not the name of a file of {what}")
        return files

    return AfterValidator(check)


def _dataset_name(key: str) -> str:
    folder, _, name = key.rpartition("/")
    is_place = f"{folder}/" == layout.DATASETS or _ENCODED_FOLDER.fullmatch(folder) is not None
    if not is_place or not file_names.is_weights_name(name):
        raise ValueError(f"{key!r} is not the name of a data set")
    return key


class DatasetRef(Record):
    """The packed data set: uploaded, or made from recordings by an instance."""

    key: Annotated[str, AfterValidator(_dataset_name)]
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
    """the commit at Hugging Face, if the files are from there"""


class AdapterRef(Record):
    """The adapter that a run starts from."""

    name: Name
    prefix: Annotated[str, below(layout.ADAPTERS, "/")]
    weights_sha256: Name
    """identifies the adapter, since PEFT writes its configuration in no fixed order"""
    files: Annotated[Files, _none_odd(file_names.odd_in_adapter, "an adapter")]


class CodecRef(Record):
    """The codec with which a run speaks samples, if it has files of its own."""

    prefix: Annotated[str, below(layout.CODECS, "/")]
    files: Annotated[Files, _none_odd(file_names.odd_in_codec, "a codec")]


class EvalModelRef(Record):
    """A model that measures samples."""

    prefix: Annotated[str, below(layout.EVAL_MODELS, "/")]
    files: Annotated[Files, _none_odd(file_names.odd_in_eval_model, "a model that measures")]


EvalModels = dict[Literal["asr", "speaker_encoder", "dnsmos"], EvalModelRef]


class RecordingsRef(Record):
    """The recordings from which a run's data set is made, and where their codes belong."""

    prefix: Annotated[str, below(layout.RECORDINGS, "/")]
    texts: FileRef
    """names and texts; its SHA-256 identifies the data set among those of the same sound"""
    parts: Annotated[Files, _none_odd(file_names.odd_in_recordings, "recordings")]
    """empty if an earlier run has encoded them"""
    encoded: Annotated[str, below(layout.ENCODED, "/")]
    codec: Name
    """digest of the codec that encodes them"""
    utterances: Count
    frames: Count
    """as computed from their lengths"""
    seconds: Seconds
    """of speech"""


class EncodedRecord(Record):
    """encoded/<digest>/<texts>.json: the data set that was made from recordings."""

    texts_sha256: Name
    dataset: DatasetRef
    codec: Name
    fintts_version: Name
    encoded_at: Moment


class PriceRef(Record):
    """The price that the estimate used, frozen."""

    hourly_rate_usd: HourlyRate
    source: Name
    as_of: Name | None = None


class RentalRef(Record):
    """A GPU that a run may get, its price, and the run's estimate on it."""

    gpus: Name
    price: PriceRef
    estimate: SmallJson


class RunRecord(OfRun):
    """run.json: the configuration, the price and the code of a run."""

    created_at: Moment
    fintts_version: Name
    bundle_digest: Name | None = None
    config: SmallJson
    dataset: DatasetRef | None = None
    """None if the run begins by encoding its recordings"""
    recordings: RecordingsRef | None = None
    """what the data set is made from, if it is not codes that were given"""
    base_model: BaseModelRef
    prompt: Name | None = None
    """used in training; None in runs that did not record it"""
    initial_adapter: AdapterRef | None = None
    codec: CodecRef | None = None
    eval_models: EvalModels = Field(default_factory=EvalModels)
    """measure what the run speaks"""
    price: PriceRef
    budget_usd: Usd | None = None
    deadline_at: Moment
    estimate: SmallJson
    infra: Name
    gpus: Name
    """requested first; `price` and `estimate` belong to it"""
    alternatives: Annotated[tuple[RentalRef, ...], Field(max_length=limits.RENTALS)] = ()
    """alternatives if the first is not available"""
    spot: bool = False
    revision: Count = 0
    """the revision of `config`; 0 is run.json's own"""

    @model_validator(mode="after")
    def _has_data(self) -> Self:
        if self.dataset is None and self.recordings is None:
            raise ValueError("it names neither a data set nor recordings")
        return self

    @property
    def data_digest(self) -> str:
        """Equal for two runs on the same data: of names, texts and sound, or of their codes."""
        if self.recordings is not None:
            return self.recordings.texts.sha256
        assert self.dataset is not None, "a record has one of the two"
        return self.dataset.sha256

    @property
    def size(self) -> DatasetRef | RecordingsRef:
        """What knows the number of utterances and frames."""
        known = self.dataset or self.recordings
        assert known is not None, "a record has one of the two"
        return known

    @property
    def packed(self) -> DatasetRef:
        """The data set of a run that has one: its recordings are encoded."""
        assert self.dataset is not None, "recordings are encoded first"
        return self.dataset

    @property
    def begins_with_encoding(self) -> bool:
        """Whether its recordings have to be encoded, unless that is done by now."""
        return self.dataset is None

    @property
    def rentals(self) -> tuple[RentalRef, ...]:
        """All GPUs that the run may get, in the order of the request."""
        first = RentalRef(gpus=self.gpus, price=self.price, estimate=self.estimate)
        return (first, *self.alternatives)


class Revision(OfRun):
    """revisions/<number>.json: a whole configuration that replaces run.json's from now on."""

    number: Annotated[int, Field(ge=1, le=limits.CLAIMS)]
    created_at: Moment
    fintts_version: Name
    config: SmallJson
    changes: Annotated[tuple[Message, ...], Field(max_length=limits.FILES)]
    """the changes since the previous one, for people"""


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
