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
from fintts_cli.local_trainer import merge
from fintts_cli.views.units import size
from fintts_inputs.base_model.families import parse_shape, read_shape
from fintts_inputs.base_model.files import CONFIG, DOCUMENTS, README
from fintts_inputs.base_model.fish.config import FISH
from fintts_inputs.base_model.licence import read_licence
from fintts_inputs.base_model.reading import parse_json
from fintts_inputs.errors import BaseModelProblem
from fintts_store.disk.durable import durable_directory, make_directories
from fintts_store.disk.errors import explained
from fintts_store.errors import InvalidRecord, KeyNotFound, StoreFull
from fintts_store.fetch import fetch
from fintts_store.runs.limits import DOCUMENT_BYTES
from fintts_store.store import TEMPORARY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from fintts_cli.checkpoints.pull import Transfer
    from fintts_inputs.base_model.licence import Licence
    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.runs.records import FileRef, RunRecord
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
        if self.format is Format.FISH:
            self._refuse_other_family()
        with explained(target):
            make_directories(target.parent)
        with self._base_model(target.parent) as base_model, durable_directory(target) as folder:
            licence = read_licence(base_model, read_shape(base_model))
            self._fill(folder, base_model, licence)
            _copy_documents(base_model, folder)
            written = export_record.describe(folder, origin, licence.identifier)
        return Exported(target, written, was_there=False)

    def _refuse_other_family(self) -> None:
        """Checks the family by config.json alone, before gigabytes are fetched."""
        key = self.record.base_model.prefix + CONFIG
        try:
            content = parse_json(self.store.get(key, DOCUMENT_BYTES), key)
        except (KeyNotFound, InvalidRecord, BaseModelProblem):
            return  # the check of the whole model reports what is wrong
        family = parse_shape(content, key).family
        if family != FISH:
            raise CheckFailed(
                f"{self.record.base_model.name} belongs to the family {family}, which cannot be "
                "written in Fish Speech's format",
                "--format peft exports the adapter of any model",
            )

    def _fill(self, folder: Path, base_model: Path, licence: Licence) -> None:
        if self.format is Format.PEFT:
            self._restore_adapter(folder)
            card = adapter_card(self.record, self.manifest, licence)
        else:
            self._merge(folder, base_model)
            card = merged_card(self.record, self.manifest, licence)
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
    def _base_model(self, beside: Path) -> Generator[Path]:
        """A folder with the files of the base model that the export needs."""
        copies = 1 if self.base is not None else 2
        if self.format is Format.FISH:
            _refuse_small_disk(beside, copies * sum(f.size_bytes for f in self._model_files()))
        if self.base is not None:
            refuse_another(self.base, self.record, "leave --base out to take it from the store")
            yield self.base
            return
        with TemporaryDirectory(dir=beside, prefix=TEMPORARY_PREFIX) as temporary:
            self._fetch_base_model(Path(temporary))
            yield Path(temporary)

    def _fetch_base_model(self, folder: Path) -> None:
        reference, whole = self.record.base_model, self.format is Format.FISH
        small = (CONFIG, *DOCUMENTS)
        wanted = [file for file in reference.files if whole or file.name in small]
        total = sum(file.size_bytes for file in wanted)
        if whole:
            self.tell(f"fetching the base model {reference.name}, {size(total)}")
        try:
            with self.transfer(total) as on_bytes:
                for file in wanted:
                    key = reference.prefix + file.name
                    fetch(
                        self.store,
                        key,
                        folder / file.name,
                        file.sha256,
                        file.size_bytes,
                        on_bytes,
                    )
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
