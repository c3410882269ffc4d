"""run.json: what a run is made from, where, and for how much; and its revisions.

Laptop and instance both read it, possibly with different versions of the program, so unknown keys
are ignored.
"""

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from fintts_store import file_names, layout
from fintts_store.runs import limits
from fintts_store.runs.fields import (
    Count,
    HourlyRate,
    Message,
    Moment,
    Name,
    PlainName,
    Seconds,
    SizeBytes,
    SmallJson,
    Usd,
    below,
)
from fintts_store.runs.record import OfRun, Record


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
