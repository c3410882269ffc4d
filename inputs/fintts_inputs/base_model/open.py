"""Opens and checks a base model's folder, as far as that needs no torch.

This finds a truncated download in milliseconds, before an instance bills.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from fintts_inputs.base_model.families import BaseModelConfig, read_config
from fintts_inputs.base_model.files import (
    SPECIAL_TOKENS,
    TIKTOKEN,
    base_model_files,
    tokenizer_files,
)
from fintts_inputs.base_model.headers import refuse_other_weights
from fintts_inputs.base_model.reading import AGAIN, read_json, read_text
from fintts_inputs.errors import BaseModelProblem
from fintts_inputs.file_refs import digest_of, file_ref

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_inputs.base_model.licence import Licence
    from fintts_inputs.base_model.shape import ModelShape
    from fintts_store.runs.run_record import FileRef


@dataclass(frozen=True)
class BaseModelFolder:
    """A checked folder.

    Attributes:
        files: the names of all files that the trainer reads, and of the licence.
    """

    config: BaseModelConfig
    files: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The folder."""
        return self.config.folder

    @property
    def shape(self) -> ModelShape:
        """As config.json gives it."""
        return self.config.shape

    @property
    def licence(self) -> Licence:
        """As `BaseModelConfig.licence`."""
        return self.config.licence

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file."""
        return {name: (self.path / name).stat().st_size for name in self.files}

    @cached_property
    def file_refs(self) -> tuple[FileRef, ...]:
        """Every file with its digest; reads all of them, which takes seconds for gigabytes."""
        return tuple(file_ref(self.path / name) for name in self.files)

    @property
    def digest(self) -> str:
        """One SHA-256 over the names and contents of all files."""
        return digest_of(self.file_refs)


def open_base_model(path: Path) -> BaseModelFolder:
    """Checks every file that the trainer reads.

    Raises:
        FolderMissing: there is no such folder.
        BaseModelProblem: a file is missing, truncated or of the wrong kind, or the weights do not
            fit config.json.
    """
    files, config = base_model_files(path), read_config(path)
    refuse_other_weights(path, config.shape)
    tokenizer = tokenizer_files(path)
    if TIKTOKEN in tokenizer:
        _check_special_tokens(path / SPECIAL_TOKENS)
        _check_ranks(path / TIKTOKEN)
    else:
        for name in tokenizer:
            _check_tokenizer(path / name)
    return BaseModelFolder(config, files)


def _check_special_tokens(path: Path) -> None:
    try:
        TypeAdapter(dict[str, int]).validate_python(read_json(path))
    except ValidationError:
        raise BaseModelProblem(f"{path} is not a table of tokens and their ids", AGAIN) from None


def _check_ranks(path: Path) -> None:
    lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
    try:
        ranks = [(base64.b64decode(token, validate=True), int(rank)) for token, rank in lines]
    except (ValueError, binascii.Error):
        ranks = []
    if not ranks:
        raise BaseModelProblem(f"{path} is not a tiktoken file", AGAIN)


def _check_tokenizer(path: Path) -> None:
    content = read_json(path)
    if not isinstance(content, dict) or "model" not in content:
        raise BaseModelProblem(f"{path} is not a tokenizer of Hugging Face's tokenizers", AGAIN)
