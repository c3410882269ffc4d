"""Uploads a run's inputs to the store, each once: the packed data set or the recordings, the base
model, the initial adapter, the codec of a run that encodes or speaks, and the models that measure
what it speaks."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.launch.adapter import adapter_folder, check_adapter, refuse_another_base
from fintts_cli.launch.codec import describe_codec
from fintts_cli.launch.encoded_before import dataset_made_of, seconds_to_encode
from fintts_cli.settings.hub_model import origin_of
from fintts_cli.sound_packages import require_readers
from fintts_cli.views.units import counted, size
from fintts_inputs.base_model.adapter import ADAPTER_CONFIG, ADAPTER_FILE
from fintts_inputs.base_model.open import open_base_model
from fintts_inputs.codec.find import find_codec_for
from fintts_inputs.data.check import check_folder
from fintts_inputs.data.packing import pack_report
from fintts_inputs.eval_models import eval_model_files
from fintts_inputs.file_refs import digest_of, file_ref
from fintts_inputs.recordings.files import only_recordings_in
from fintts_store import layout
from fintts_store.runs.run_record import (
    AdapterRef,
    BaseModelRef,
    CodecRef,
    DatasetRef,
    EvalModelRef,
    EvalModels,
    RecordingsRef,
    RunRecord,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fintts_cli.launch.kept_data import KeptData
    from fintts_cli.launch.recordings import CheckedRecordings
    from fintts_inputs.base_model.open import BaseModelFolder
    from fintts_inputs.codec.find import CodecFile
    from fintts_inputs.config import EvalKind, RunConfig
    from fintts_inputs.data.check import DataReport
    from fintts_inputs.folder import Problem
    from fintts_inputs.prompts import Prompt
    from fintts_store.store import Store


NAMES = {
    "asr": "the speech recogniser",
    "speaker_encoder": "the speaker encoder",
    "dnsmos": "DNSMOS",
}
"""of the models that measure samples"""
WITHOUT_SAMPLES = "leave out `samples`, and the run speaks nothing"
"""what a launch advises where there is no codec"""
AS_WRITTEN = (
    "the run keeps names and texts in the Unicode form of the files, as it started; a new run "
    "gets them in NFC"
)


def upload_dataset(
    store: Store,
    report: DataReport,
    tell: Callable[[str], None],
    begun_with: str | None = None,
) -> DatasetRef:
    """Packs a checked folder and stores the pack under its digest, unless it is already there.

    Args:
        begun_with: as in `pack_folder`.

    Raises:
        DataProblem: the folder cannot be trained on.
        StoreError: the store cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="fintts-pack-") as temporary:
        packed = pack_report(report, Path(temporary), begun_with=begun_with)
        if packed.is_as_written:
            tell(AS_WRITTEN)
        key = layout.dataset_key(packed.sha256)
        _put_once(store, key, packed.path, counted(packed.utterances, "utterance"), tell)
    return DatasetRef(
        key=key,
        sha256=packed.sha256,
        size_bytes=packed.size_bytes,
        utterances=packed.utterances,
        frames=packed.frames,
    )


def describe_base_model(base: BaseModelFolder) -> BaseModelRef:
    """The files of a base model, with one digest for all of them."""
    origin = origin_of(base.path)
    return BaseModelRef(
        prefix=layout.base_model_prefix(base.digest),
        digest=base.digest,
        files=base.file_refs,
        name=origin.repository if origin else base.path.resolve().name,
        revision=origin.revision if origin else None,
    )


def describe_adapter(folder: Path, source: Path) -> AdapterRef:
    """The two PEFT files in a folder, with one digest for both.

    Args:
        source: the path that the user gave, for people.
    """
    files = tuple(file_ref(folder / name) for name in (ADAPTER_CONFIG, ADAPTER_FILE))
    return AdapterRef(
        name=source.resolve().name,
        prefix=layout.adapter_prefix(digest_of(files)),
        weights_sha256=files[-1].sha256,
        files=files,
    )


def describe_eval_model(paths: Iterable[Path]) -> EvalModelRef:
    """The files of a model that measures samples."""
    files = tuple(file_ref(path) for path in paths)
    return EvalModelRef(prefix=layout.eval_model_prefix(digest_of(files)), files=files)


def upload_files(
    store: Store,
    reference: BaseModelRef | AdapterRef | CodecRef | EvalModelRef,
    folder: Path,
    what: str,
    tell: Callable[[str], None],
) -> None:
    """Uploads the described files, unless they are already there.

    Args:
        what: a name for people: `the base model`.

    Raises:
        StoreError: the store cannot be written.
    """
    for file in reference.files:
        of_what = f"{what}'s {file.name}"
        _put_once(store, reference.prefix + file.name, folder / file.name, of_what, tell)


def _put_once(store: Store, key: str, source: Path, what: str, tell: Callable[[str], None]) -> None:
    """Uploads a file unless its key exists. A key holds all of its bytes or does not exist, so the
    size is enough to recognise it."""
    size_bytes = source.stat().st_size
    there = any(entry.key == key and entry.size_bytes == size_bytes for entry in store.list(key))
    if not there:
        tell(f"uploading {what}, {size(size_bytes)}")
        store.put(key, source)


@dataclass(frozen=True, slots=True)
class Inputs:
    """A run's inputs in the store."""

    dataset: DatasetRef | None
    """None if the run has to make it from its recordings"""
    base_model: BaseModelRef
    prompt: Prompt
    """the prompt that the base model is served with and a new run is trained with"""
    initial_adapter: AdapterRef | None = None
    codec: CodecRef | None = None
    eval_models: EvalModels = field(default_factory=EvalModels)
    recordings: RecordingsRef | None = None

    @property
    def keys(self) -> list[str]:
        """Their keys; prefixes end with `/`."""
        data = [] if self.dataset is None else [self.dataset.key]
        to_encode = [one.prefix for one in self._to_encode]
        optional = [one.prefix for one in (self.initial_adapter, self.codec) if one is not None]
        measuring = [one.prefix for one in self.eval_models.values()]
        others = [*self.adds_to, self.base_model.prefix, *optional, *measuring]
        return [*data, *to_encode, *others]

    @property
    def adds_to(self) -> list[str]:
        """The prefixes beside the run's own to which its instance adds files."""
        return [one.encoded for one in self._to_encode]

    @property
    def _to_encode(self) -> list[RecordingsRef]:
        is_encoded = self.dataset is not None or self.recordings is None
        return [] if is_encoded or self.recordings is None else [self.recordings]


@dataclass(frozen=True, slots=True)
class CheckedInputs:
    """A run's inputs on this machine: opened and checked once, then packed and uploaded."""

    config: RunConfig
    base_model: BaseModelFolder
    data: DataReport | None
    """None if the data are recordings, or in the store alone"""
    codec: CodecFile | None = None
    """of a run that speaks samples"""
    eval_models: Mapping[EvalKind, tuple[Path, ...]] = field(
        default_factory=dict["EvalKind", "tuple[Path, ...]"]
    )
    """the files of what measures them"""
    recordings: CheckedRecordings | None = None
    speech_seconds: float = 0.0
    """of recordings that the run has to encode"""
    kept: KeptData | None = None
    """of a run whose data folder is not on this machine"""

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What looks wrong in the data and ends no run."""
        if self.recordings is not None:
            return self.recordings.survey.warnings
        return () if self.data is None else self.data.warnings

    def beside(self, store: Store) -> CheckedInputs:
        """The same, knowing what earlier runs have encoded.

        Raises:
            StoreError: the store cannot be read.
        """
        if self.recordings is None:
            return self
        return replace(self, speech_seconds=seconds_to_encode(store, self.recordings))


def ignore_count(_done: int, _total: int) -> None:
    """Ignores how many recordings are read."""


def check_inputs(
    config: RunConfig,
    on_read: Callable[[int, int], None] = ignore_count,
    kept: KeptData | None = None,
) -> CheckedInputs:
    """Opens base model, initial adapter, data and, if the run speaks, the codec and the models that
    measure, before the store is used.

    Args:
        on_read: called with the number of recordings read so far and in all.
        kept: the data of an existing run whose folder is not here.

    Raises:
        CliError, TrainerError: one of them cannot be used for training.
    """
    base_model = open_base_model(config.base_model)
    check_adapter(config, base_model.shape)
    codec = None
    if config.samples.is_on:
        codec = find_codec_for(base_model.shape, config.base_model, WITHOUT_SAMPLES)
    eval_models = eval_model_files(config.eval) if config.samples.is_on else {}
    if kept is not None:
        return CheckedInputs(config, base_model, None, codec, eval_models, kept=kept)
    if only_recordings_in(config.data) is not None:
        require_readers()
        from fintts_cli.launch.recordings import check_recordings  # it needs what reads sound

        recordings = check_recordings(config.data, base_model, on_read)
        seconds = recordings.survey.seconds
        return CheckedInputs(config, base_model, None, codec, eval_models, recordings, seconds)
    report = check_folder(config.data, base_model.shape)
    report.refuse_problems()
    return CheckedInputs(config, base_model, report, codec, eval_models)


def upload_inputs(
    store: Store,
    checked: CheckedInputs,
    tell: Callable[[str], None],
    record: RunRecord | None = None,
) -> Inputs:
    """Uploads data set, base model and the other inputs to the store, each once.

    Args:
        record: the run's record, if it already exists.

    Raises:
        CliError, InputError: the adapter cannot be used for training, or the data have changed.
        StoreError: the store cannot be written.
    """
    config, base_model = checked.config, describe_base_model(checked.base_model)
    with adapter_folder(config) as folder:
        adapter = None
        if folder is not None and config.initial_adapter is not None:
            refuse_another_base(folder, base_model)
            adapter = describe_adapter(folder, config.initial_adapter)
        dataset, recordings = _upload_data(store, checked, tell, record)
        upload_files(store, base_model, config.base_model, "the base model", tell)
        if folder is not None and adapter is not None:
            upload_files(store, adapter, folder, "the initial adapter", tell)
    codec = _codec_of(checked, encodes=dataset is None)
    if codec is not None:
        upload_files(store, codec, config.base_model, "the codec", tell)
    models: EvalModels = {}
    for kind, paths in checked.eval_models.items():
        models[kind] = describe_eval_model(paths)
        upload_files(store, models[kind], paths[0].parent, NAMES[kind], tell)
    prompt = checked.base_model.shape.prompt
    return Inputs(dataset, base_model, prompt, adapter, codec, models, recordings)


def _upload_data(
    store: Store,
    checked: CheckedInputs,
    tell: Callable[[str], None],
    record: RunRecord | None,
) -> tuple[DatasetRef | None, RecordingsRef | None]:
    """The data set, the recordings that it is made of, or both."""
    if (kept := checked.kept) is not None:
        tell(f"{checked.config.data} is not here: the run goes on with its data set in the store")
        return kept.dataset, kept.recordings
    if checked.recordings is None:
        assert checked.data is not None, "data are one of the two"
        begun_with = None if record is None or record.dataset is None else record.dataset.sha256
        return upload_dataset(store, checked.data, tell, begun_with), None
    made = dataset_made_of(store, checked.recordings)
    if made is not None:
        tell("an earlier run has encoded these recordings: its codes are used")
        return made, checked.recordings.described
    return None, checked.recordings.upload(store, tell)


def _codec_of(checked: CheckedInputs, *, encodes: bool) -> CodecRef | None:
    """The codec that the run needs, if it has files of its own."""
    if checked.recordings is not None:
        needed = encodes or checked.config.samples.is_on
        return checked.recordings.codec_ref if needed else None
    return None if checked.codec is None else describe_codec(checked.codec)
