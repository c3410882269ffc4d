"""Whether a base model's folder can be trained on, as far as can be seen without torch.

A truncated download is found here, in milliseconds, and not on an instance that bills.
"""

from __future__ import annotations

import base64
import binascii
import zipfile
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open

from fintts_trainer.base_files import (
    PICKLED,
    SPECIAL_TOKENS,
    TIKTOKEN,
    base_model_files,
    tokenizer_files,
    weight_files,
)
from fintts_trainer.errors import BaseModelProblem
from fintts_trainer.shape import AGAIN, ModelShape, read_json, read_text

if TYPE_CHECKING:
    from pathlib import Path

LEAST_BYTES_PER_PARAMETER = 1


def check_base_model(folder: Path) -> None:
    """Looks at every file that the trainer reads.

    Raises:
        BaseModelProblem: one is missing, truncated, or of another kind.
    """
    base_model_files(folder)
    _check_weights(folder, ModelShape.read(folder))
    if TIKTOKEN in tokenizer_files(folder):
        _check_special_tokens(folder / SPECIAL_TOKENS)
        _check_ranks(folder / TIKTOKEN)
    else:
        for name in tokenizer_files(folder):
            _check_tokenizer(folder / name)


def _check_weights(folder: Path, shape: ModelShape) -> None:
    names = weight_files(folder)
    size_bytes = sum(_weights_bytes(folder / name) for name in names)
    if size_bytes < LEAST_BYTES_PER_PARAMETER * shape.parameters:
        raise BaseModelProblem(
            f"{' and '.join(names)} in {folder} hold {size_bytes:,} bytes, too few for the "
            f"{shape.parameters:,} parameters that config.json describes",
            "take the weights and config.json from the same release",
        )


def _weights_bytes(path: Path) -> int:
    """Either format says at its end or its beginning how long it is, so a part is told at once."""
    if path.name == PICKLED:
        return _zipped_bytes(path)
    try:
        with safe_open(path, framework="numpy"):
            return path.stat().st_size
    except (OSError, SafetensorError) as error:
        raise BaseModelProblem(f"{path} is no whole safetensors file: {error}", AGAIN) from None


def _zipped_bytes(path: Path) -> int:
    """torch.save writes a zip, whose table of contents is at its end."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        raise BaseModelProblem(
            f"{path} is no whole file of weights as torch.save writes it", AGAIN
        ) from None


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
