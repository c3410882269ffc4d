"""The finished runs in a store, and how fast they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from fintts_cli.estimate.figures import Workload
from fintts_cli.places import FETCHED_BYTES_PER_SECOND, LOCAL
from fintts_cli.settings.gpus import parse_gpus
from fintts_cost.errors import UnknownAccelerator
from fintts_inputs.config import RunConfig
from fintts_store.errors import InvalidRecord, KeyNotFound
from fintts_store.runs.runs import list_runs, read_result, read_run, readable_status

if TYPE_CHECKING:
    from fintts_store.runs.records import Result
    from fintts_store.runs.run_record import RunRecord
    from fintts_store.store import Store

FEWEST_STEPS = 20
"""With fewer steps, the first ones, which compile and allocate, weigh too much."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """A finished run with the same base model."""

    record: RunRecord
    result: Result
    config: RunConfig
    gpus: str | None
    """that it trained on; None for the user's own machine"""

    @property
    def seconds_per_step(self) -> float:
        """Mean of all steps."""
        return self.result.phase_seconds.get("training", 0.0) / self.result.step

    @property
    def seconds_per_validation(self) -> float | None:
        """Mean of all checks; None without one."""
        checks = self.result.step // self.config.validation.every
        return self.result.phase_seconds.get("validation", 0.0) / checks if checks else None

    @property
    def setup_seconds(self) -> float | None:
        """From the request to the first step, without the codec of a rented instance; None if an
        interruption hides it."""
        if self.result.claims != 1:
            return None
        started = (self.result.started_at - self.record.created_at).total_seconds()
        whole = max(started, 0.0) + self.result.phase_seconds.get("setup", 0.0)
        return max(whole - self._codec_seconds, 0.0)

    @property
    def _codec_seconds(self) -> float:
        """What an estimate counts for fetching the codec that it speaks or encodes with."""
        codec = self.record.codec
        if codec is None or self.gpus is None:
            return 0.0
        return sum(file.size_bytes for file in codec.files) / FETCHED_BYTES_PER_SECOND

    @property
    def seconds_per_speech(self) -> float | None:
        """Seconds of encoding for each second of speech that it encoded itself: earlier runs may
        have encoded a part of its recordings. None if it encoded nothing."""
        encoded = self.result.encoded
        if encoded is None or not encoded.speech_seconds:
            return None
        return encoded.seconds / encoded.speech_seconds

    def workload(self, text_per_frame: float) -> Workload:
        """Its data; the record does not hold the length of its texts."""
        data, fraction = self.record.size, self.config.validation.fraction
        frames = data.frames / max(data.utterances, 1)
        held_out = round(data.utterances * fraction)
        return Workload(data.utterances - held_out, held_out, frames * text_per_frame, frames)


def past_runs(store: Store, model_sizes: dict[str, int]) -> list[PastRun]:
    """The finished runs with this base model, and a GPU that is known.

    Args:
        model_sizes: bytes of the base model's files. Models with equal names and sizes count as
            equal: the SHA-256 of gigabytes would take longer than an estimate may.

    Raises:
        StoreError: the store cannot be read.
    """
    found = (_finished(store, run, model_sizes) for run in list_runs(store))
    return [run for run in found if run is not None]


def _finished(store: Store, run: str, model_sizes: dict[str, int]) -> PastRun | None:
    """None if its records are broken, too short, or of another model."""
    try:
        result = read_result(store, run)
        if result is None or result.step < FEWEST_STEPS:
            return None
        record = read_run(store, run)
        config = RunConfig.model_validate(record.config)
    except (InvalidRecord, KeyNotFound, ValidationError):
        return None
    sizes = {file.name: file.size_bytes for file in record.base_model.files}
    if sizes != model_sizes or not result.phase_seconds.get("training"):
        return None
    if record.infra == LOCAL:
        return PastRun(record, result, config, None)
    gpus = _gpus_of(store, record)
    return None if gpus is None else PastRun(record, result, config, gpus)


def _gpus_of(store: Store, record: RunRecord) -> str | None:
    """The GPU that it trained on; None if it could choose and no heartbeat says."""
    named: str | None = record.gpus
    if record.alternatives:
        status = readable_status(store, record.run)
        named = None if status is None else status.gpus
    return named if named is not None and _is_known(named) else None


def _is_known(gpus: str) -> bool:
    """Whether this version knows the GPU that a record names."""
    try:
        parse_gpus(gpus)
    except (UnknownAccelerator, ValueError):
        return False
    return True
