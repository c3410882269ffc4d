"""Exports a checkpoint: as an adapter for PEFT, or merged into the base model's own format."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from fintts_cli.checkpoints import export_record
from fintts_cli.checkpoints.adapter_of_run import model_files, refuse_another, restore_adapter
from fintts_cli.checkpoints.card import adapter_card, merged_card
from fintts_cli.checkpoints.export_format import Format
from fintts_cli.checkpoints.export_record import ExportRecord, Origin
from fintts_cli.errors import CheckFailed
from fintts_cli.trainer_process.local_trainer import merge
from fintts_cli.views.units import size
from fintts_inputs.base_model.families import BaseModelConfig, read_config
from fintts_inputs.base_model.files import CONFIG, DOCUMENTS, README
from fintts_inputs.base_model.fish.config import FISH
from fintts_store.disk.durable import durable_directory, make_directories
from fintts_store.disk.errors import explained
from fintts_store.errors import KeyNotFound, StoreFull
from fintts_store.network.fetch import fetch
from fintts_store.store import TEMPORARY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from fintts_cli.checkpoints.pull import Transfer
    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.runs.run_record import FileRef, RunRecord
    from fintts_store.store import Store

BASE_README = f"base_model_{README}"
"""the base model's own card, which the export's card replaces"""


@dataclass(frozen=True, slots=True)
class Exported:
    """The exported folder; `was_there` if it existed already."""

    path: Path
    record: ExportRecord
    was_there: bool

    def to_json(self) -> dict[str, object]:
        """The document of the command."""
        content = self.record.model_dump(mode="json")
        origin = content.pop("origin")
        size_bytes = self.record.size_bytes
        return {**origin, "to": str(self.path), "bytes": size_bytes, **content}


@dataclass(frozen=True)
class Export:
    """One checkpoint, and how to export it.

    Attributes:
        base: a folder that holds the base model; None fetches it from the store.
        tell: gets a sentence before each step that takes long.
        transfer: shows the progress of a transfer of so many bytes.
    """

    store: Store
    record: RunRecord
    manifest: Manifest
    format: Format
    base: Path | None
    tell: Callable[[str], None]
    transfer: Transfer

    def to(self, target: Path) -> Exported:
        """Makes the folder, whole or not at all; leaves an existing export as it is.

        Raises:
            UsageProblem: the target holds something else, or `base` is another base model.
            BaseModelProblem: a file in `base` is a link out of the folder.
            CheckFailed: the store no longer holds the base model, or it cannot be merged.
            StoreError: something could not be read or written.
        """
        origin = Origin.of(self.record, self.manifest, self.format)
        there = export_record.find(target, origin)
        if there is not None:
            return Exported(target, there, was_there=True)
        with explained(target):
            make_directories(target.parent)
        with self._base_model(target.parent) as base_model, durable_directory(target) as folder:
            self._fill(folder, base_model)
            _copy_documents(base_model.folder, folder)
            written = export_record.describe(folder, origin, base_model.licence.identifier)
        return Exported(target, written, was_there=False)

    def _fill(self, folder: Path, base_model: BaseModelConfig) -> None:
        if self.format is Format.PEFT:
            self._restore_adapter(folder)
            card = adapter_card(self.record, self.manifest, base_model.licence)
        else:
            self._merge(folder, base_model.folder)
            card = merged_card(self.record, self.manifest, base_model.licence)
        (folder / README).write_text(card, encoding="utf-8")

    def _merge(self, folder: Path, base_model: Path) -> None:
        """Lets the trainer write the weights; copies the base model's other files."""
        with TemporaryDirectory(dir=folder.parent, prefix=TEMPORARY_PREFIX) as temporary:
            self._restore_adapter(Path(temporary))
            self.tell(f"merging step {self.manifest.step} into {self.record.base_model.name}")
            merge(base_model, Path(temporary), folder)
        for file in self._model_files():
            if not (folder / file.name).exists():
                shutil.copyfile(base_model / file.name, folder / file.name)

    def _restore_adapter(self, folder: Path) -> None:
        restore_adapter(self.store, self.manifest, folder)

    @contextmanager
    def _base_model(self, beside: Path) -> Generator[BaseModelConfig]:
        """The base model, in a folder with the files of it that the export needs."""
        if self.base is not None:
            refuse_another(self.base, self.record, "leave --base out to take it from the store")
            config = read_config(self.base)
            self._refuse_impossible_merge(config, beside, copies=1)
            yield config
            return
        with TemporaryDirectory(dir=beside, prefix=TEMPORARY_PREFIX) as temporary:
            yield self._fetched_base_model(Path(temporary))

    def _fetched_base_model(self, folder: Path) -> BaseModelConfig:
        """Fetches the small files first: they tell whether gigabytes are worth fetching."""
        small: list[FileRef] = []
        large: list[FileRef] = []
        for file in self.record.base_model.files:
            (small if file.name in (CONFIG, *DOCUMENTS) else large).append(file)
        self._fetch(small, folder)
        config = read_config(folder)
        self._refuse_impossible_merge(config, folder.parent, copies=2)
        if self.format is Format.FISH:
            total = size(sum(file.size_bytes for file in large))
            self.tell(f"fetching the base model {self.record.base_model.name}, {total}")
            self._fetch(large, folder)
        return config

    def _refuse_impossible_merge(
        self, base_model: BaseModelConfig, folder: Path, *, copies: int
    ) -> None:
        """Refuses a base model that cannot be written in Fish Speech's format, and a disk that is
        too small for so many copies of it."""
        if self.format is not Format.FISH:
            return
        family = base_model.shape.family
        if family != FISH:
            raise CheckFailed(
                f"{self.record.base_model.name} belongs to the family {family}, which cannot be "
                "written in Fish Speech's format",
                "--format peft exports the adapter of any model",
            )
        _refuse_small_disk(folder, copies * sum(f.size_bytes for f in self._model_files()))

    def _fetch(self, files: Sequence[FileRef], folder: Path) -> None:
        prefix = self.record.base_model.prefix
        try:
            with self.transfer(sum(file.size_bytes for file in files)) as on_bytes:
                for file in files:
                    target = folder / file.name
                    key = prefix + file.name
                    fetch(self.store, key, target, file.sha256, file.size_bytes, on_bytes)
        except KeyNotFound as error:
            raise CheckFailed(
                f"the store no longer has the base model of run {self.record.run}: {error.message}",
                "give a copy with --base DIR",
            ) from None

    def _model_files(self) -> tuple[FileRef, ...]:
        return model_files(self.record)


def _copy_documents(base_model: Path, folder: Path) -> None:
    for name in DOCUMENTS:
        if (base_model / name).is_file():
            shutil.copyfile(base_model / name, folder / (BASE_README if name == README else name))


def _refuse_small_disk(folder: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise StoreFull(
            f"{folder} has {size(free_bytes)} free, but the merge needs up to {size(needed_bytes)}",
            "free some space there, or choose a folder on another disk with --to",
        )
