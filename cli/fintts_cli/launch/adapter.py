"""The adapter that a run starts from: a folder with PEFT's files, or a .ckpt that is converted to
one."""

from __future__ import annotations

import zipfile
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from fintts_cli.errors import UsageProblem
from fintts_cli.trainer_process.local_trainer import import_lora, require_trainer
from fintts_inputs.base_model.adapter import AS_PEFT, base_digest_of, check_initial_adapter

if TYPE_CHECKING:
    from collections.abc import Generator

    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.config import RunConfig
    from fintts_store.runs.run_record import BaseModelRef


def check_adapter(config: RunConfig, shape: ModelShape) -> None:
    """Checks the adapter as far as possible without torch; does nothing if there is none.

    Raises:
        UsageProblem: the adapter does not exist, or this machine cannot read such a file.
        BaseModelProblem: it does not fit the base model and `lora` section.
    """
    path = config.initial_adapter
    if path is None:
        return
    if path.is_dir():
        check_initial_adapter(path, shape, config.lora)
    elif not path.is_file():
        raise UsageProblem(f"initial_adapter: there is no {path}", AS_PEFT)
    elif not zipfile.is_zipfile(path):
        raise UsageProblem(
            f"initial_adapter: {path} is not a complete torch.save file",
            "copy it again from where it was trained, or " + AS_PEFT,
        )
    else:
        require_trainer()


@contextmanager
def adapter_folder(config: RunConfig) -> Generator[Path | None]:
    """A folder with the PEFT files of a checked adapter; None without an adapter.

    For a .ckpt the folder is a temporary one.

    Raises:
        CheckFailed: the .ckpt is not a LoRA of this base model and `lora` section.
    """
    path = config.initial_adapter
    if path is None or path.is_dir():
        yield path
        return
    with TemporaryDirectory(prefix="fintts-adapter-") as temporary:
        import_lora(config.base_model, path, config.lora, Path(temporary))
        yield Path(temporary)


def refuse_another_base(folder: Path, base_model: BaseModelRef) -> None:
    """Raises UsageProblem if the adapter says that it was trained on another base model."""
    said = base_digest_of(folder)
    if said is not None and said != base_model.digest:
        raise UsageProblem(
            f"the adapter in {folder} was trained on another base model than {base_model.name}",
            "set base_model to the model that it was trained on",
        )
