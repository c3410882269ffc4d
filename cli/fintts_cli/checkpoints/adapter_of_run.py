"""The adapter in a checkpoint, and whether a folder holds the base model that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.checkpoints.export_record import differing
from fintts_cli.errors import UsageProblem
from fintts_inputs.base_model.adapter import ADAPTER_CONFIG, ADAPTER_FILE
from fintts_inputs.base_model.files import DOCUMENTS
from fintts_inputs.links import refuse_links_out
from fintts_store.checkpoints.restore import restore

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.runs.run_record import FileRef, RunRecord
    from fintts_store.store import Store

ADAPTER_FILES = (ADAPTER_CONFIG, ADAPTER_FILE)


def restore_adapter(store: Store, manifest: Manifest, folder: Path) -> None:
    """Fetches PEFT's two files of a checkpoint.

    Raises:
        StoreError: the checkpoint is gone or damaged, or something could not be read or written.
    """
    files = tuple(file for file in manifest.files if file.name in ADAPTER_FILES)
    restore(store, manifest.model_copy(update={"files": files}), folder)


def model_files(record: RunRecord) -> tuple[FileRef, ...]:
    """The files that make the run's base model, without its documentation."""
    return tuple(file for file in record.base_model.files if file.name not in DOCUMENTS)


def refuse_another(folder: Path, record: RunRecord, otherwise: str) -> None:
    """Compares a folder with the run's base model; reads all of its files.

    Args:
        otherwise: what else the user can do.

    Raises:
        UsageProblem: a file is missing or differs.
        BaseModelProblem: a file is a link out of the folder.
    """
    refuse_links_out(folder, [*(file.name for file in model_files(record)), *DOCUMENTS])
    names = differing(folder, model_files(record))
    if names:
        verb = "differs" if len(names) == 1 else "differ"
        raise UsageProblem(
            f"{folder} is not the base model of run {record.run}: {', '.join(names)} {verb}",
            f"name the folder of {record.base_model.name}, or {otherwise}",
        )
