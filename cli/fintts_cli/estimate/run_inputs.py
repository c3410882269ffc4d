"""The data, the base model and the earlier runs that an estimate needs, each read at most once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.errors import ConfigError
from fintts_cli.estimate.figures import RecordedWork, Workload
from fintts_cli.estimate.workload import (
    workload_of_files,
    workload_of_lengths,
    workload_of_recordings,
    workload_of_report,
)
from fintts_cli.settings.hub_model import HubModel, not_here
from fintts_cli.sound_packages import require_readers
from fintts_inputs.base_model.reading import refuse_no_base_model
from fintts_inputs.data.listing import CODES, list_folder
from fintts_inputs.data.pairs import count_unpaired
from fintts_inputs.errors import BaseModelProblem, FolderMissing
from fintts_inputs.recordings.files import only_recordings_in
from fintts_store.file_names import CODEC

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fintts_cli.estimate.past_runs import PastRun
    from fintts_cli.launch.upload import CheckedInputs
    from fintts_cli.settings.model import Settings
    from fintts_cli.workplace.workplace import Workplace
    from fintts_inputs.base_model.shape import ModelShape
    from fintts_store.store import Store


CODEC_FILES = CODEC - {"codec_config.json"}
CODEC_BYTES = 1_870_857_736
"""of OpenAudio S1's, in float32"""
RECOGNISER_BYTES = 3_087_000_000
"""of Whisper large v3's 1.54 billion parameters, in float16"""


@dataclass(frozen=True)
class RunInputs:
    """What the settings name, looked at when it is first needed, or opened already.

    Attributes:
        open_store: gives the store that holds the earlier runs.
        samples: utterances to train on instead of those of the data folder.
        checked: data and base model, if they are open already.
        recorded: what the recordings of the data folder are, if they were read already.
    """

    data: Path | None
    base_model: Path | HubModel | None
    validation_fraction: float
    open_store: Callable[[], Store]
    samples: int | None = None
    checked: CheckedInputs | None = None
    recorded: RecordedWork | None = None

    @classmethod
    def of(
        cls,
        here: Workplace,
        settings: Settings,
        *,
        samples: int | None = None,
        checked: CheckedInputs | None = None,
        recorded: RecordedWork | None = None,
    ) -> RunInputs:
        """The inputs that the settings name."""
        return cls(
            settings.data,
            settings.base_model,
            settings.validation.fraction,
            partial(here.store_of, settings),
            samples,
            checked,
            recorded,
        )

    @cached_property
    def workload(self) -> Workload:
        """How much there is to train on.

        Raises:
            ConfigError: neither a data folder nor a number of samples is set.
            InputError: the data folder cannot be used.
        """
        if self.samples is not None:
            return Workload.of_samples(self.samples, self.validation_fraction)
        if self.from_recordings is not None:
            return self.from_recordings.workload
        if self.checked is not None and self.checked.kept is not None:
            return workload_of_lengths(self.checked.kept.lengths, 1.0, self.validation_fraction)
        if self.checked is not None and self.checked.data is not None:
            return workload_of_report(self.checked.data, self.validation_fraction)
        if self.data is None:
            raise ConfigError(
                "there is no data folder and no number of samples",
                "set data in fintts.yaml (`fintts init` writes one), or give --samples N",
            )
        return workload_of_files(self.data, self._files, self.validation_fraction)

    @cached_property
    def from_recordings(self) -> RecordedWork | None:
        """The work that recordings make; None if the data are codes, or only counted.

        Raises:
            UsageProblem: the packages that read recordings are not installed.
            InputError: there are too few.
        """
        if self.samples is not None:
            return None
        if self.recorded is not None:
            return self.recorded
        if self.checked is not None:
            return _work_of_checked(self.checked, self.validation_fraction)
        if self.data is None or any(name.endswith(CODES) for name in self._files):
            return None
        found = only_recordings_in(self.data)
        if found is None:
            return None
        require_readers()
        # What reads sound need not be installed for codes.
        from fintts_cli.estimate.recorded import work_of_files

        return work_of_files(found, self.base_model, self.validation_fraction)

    @property
    def folder(self) -> Path | None:
        """The data folder, if its utterances are what is counted."""
        is_counted = self.samples is None and self.recorded is None
        return self.data if is_counted else None

    @cached_property
    def unpaired(self) -> int:
        """Files of the data folder without a partner."""
        is_checked = self.checked is not None or self.from_recordings is not None
        return 0 if is_checked else count_unpaired(self._files)

    @cached_property
    def _files(self) -> Mapping[str, Path]:
        return {} if self.data is None else list_folder(self.data).files

    def shape(self, *, is_needed: bool) -> ModelShape | None:
        """The base model's shape; None if no model is set, or it is not here and not needed.

        Raises:
            ConfigError, InputError: the base model is needed and not here, or cannot be read.
        """
        if is_needed and self._described is None:
            if isinstance(self.base_model, HubModel):
                raise not_here(self.base_model)
            if self.base_model is not None:
                refuse_no_base_model(self.base_model)
        return self._described

    @cached_property
    def _described(self) -> ModelShape | None:
        if self.checked is not None:
            return self.checked.base_model.shape
        folder = _described_in(self.base_model)
        if folder is None or not folder.exists():
            return None
        # The families of base models take as long to load as all else that an estimate needs.
        from fintts_inputs.base_model.families import read_config

        return read_config(folder).shape

    @cached_property
    def model_sizes(self) -> dict[str, int] | None:
        """Bytes of each file of the base model; None if it is not on this machine."""
        if self.checked is not None:
            return self.checked.base_model.sizes
        if not isinstance(self.base_model, Path):
            return None
        from fintts_inputs.base_model.files import base_model_files

        try:
            names = base_model_files(self.base_model)
            return {name: (self.base_model / name).stat().st_size for name in names}
        except (BaseModelProblem, FolderMissing):
            return None

    @property
    def codec_bytes(self) -> int:
        """Of the codec's file; as of the largest that is known if it is not here."""
        here = self.base_model if isinstance(self.base_model, Path) else None
        files = [] if here is None else [here / name for name in CODEC_FILES]
        return max((each.stat().st_size for each in files if each.is_file()), default=CODEC_BYTES)

    def speaking_bytes(self, settings: Settings) -> int:
        """Of what a run that speaks has in the GPU's memory besides: its codec, and a speech
        recogniser, which counts as the largest Whisper if it is not here."""
        if not settings.samples.is_on:
            return 0
        recogniser = 0
        if (asr := settings.eval.asr) is not None:
            weights = Path(asr).glob("*.safetensors")
            recogniser = sum(path.stat().st_size for path in weights) or RECOGNISER_BYTES
        return self.codec_bytes + recogniser

    @property
    def fetched_codec_bytes(self) -> int:
        """Of the codec that the instance fetches to encode recordings; 0 if it encodes none."""
        recorded = self.from_recordings
        return self.codec_bytes if recorded is not None and recorded.speech_seconds else 0

    @cached_property
    def past_runs(self) -> list[PastRun]:
        """The finished runs with this base model; none if it is not on this machine, since no run
        can be compared then.

        Raises:
            StoreError: the store cannot be read.
        """
        if self.model_sizes is None:
            return []
        # What reads the records of runs takes as long to load as a whole estimate.
        from fintts_cli.estimate.past_runs import past_runs

        return past_runs(self.open_store(), self.model_sizes)


def _work_of_checked(checked: CheckedInputs, fraction: float) -> RecordedWork | None:
    recordings = checked.recordings
    if recordings is None:
        return None
    utterances = recordings.survey.utterances
    rate = recordings.codec.shape.frames_per_second
    return RecordedWork(workload_of_recordings(utterances, rate, fraction), checked.speech_seconds)


def _described_in(model: Path | HubModel | None) -> Path | None:
    """The folder with the model's config.json, if that is on this machine."""
    if not isinstance(model, HubModel):
        return model
    from fintts_cli.hub import described  # its library takes as long as all else

    return described(model)
