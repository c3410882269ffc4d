"""Whether a base model's folder can be trained on, as far as can be seen without torch.

A truncated download is found here, in milliseconds, and not on an instance that bills.
"""

from __future__ import annotations

import base64
import binascii
import zipfile
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from fintts_trainer.errors import BaseModelProblem
from fintts_trainer.shape import AGAIN, ModelShape, read_json, read_text

if TYPE_CHECKING:
    from pathlib import Path

CONFIG, WEIGHTS = "config.json", "model.pth"
SPECIAL_TOKENS, TOKENIZER = "special_tokens.json", "tokenizer.tiktoken"
BASE_MODEL_FILES = (CONFIG, WEIGHTS, SPECIAL_TOKENS, TOKENIZER)

LEAST_BYTES_PER_PARAMETER = 1


def check_base_model(folder: Path) -> None:
    """Looks at every file that the trainer reads.

    Raises:
        BaseModelProblem: one is missing, truncated, or of another kind.
    """
    _check_presence(folder)
    _check_weights(folder / WEIGHTS, ModelShape.read(folder))
    _check_special_tokens(folder / SPECIAL_TOKENS)
    _check_tokenizer(folder / TOKENIZER)


def _check_presence(folder: Path) -> None:
    if not folder.is_dir():
        raise BaseModelProblem(
            f"there is no base model folder {folder}", "set base_model to a Fish Speech folder"
        )
    missing = [name for name in BASE_MODEL_FILES if not (folder / name).is_file()]
    if missing:
        raise BaseModelProblem(
            f"the base model folder {folder} has no {', '.join(missing)}",
            f"a Fish Speech model folder holds {', '.join(BASE_MODEL_FILES)}",
        )


def _check_weights(path: Path, shape: ModelShape) -> None:
    """torch.save writes a zip, whose table of contents is at its end."""
    try:
        with zipfile.ZipFile(path) as archive:
            size_bytes = sum(entry.file_size for entry in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        raise BaseModelProblem(
            f"{path} is no whole file of weights as torch.save writes it", AGAIN
        ) from None
    if size_bytes < LEAST_BYTES_PER_PARAMETER * shape.parameters:
        raise BaseModelProblem(
            f"{path} holds {size_bytes:,} bytes, too few for the {shape.parameters:,} parameters "
            "that config.json describes",
            f"take {WEIGHTS} and {CONFIG} from the same release",
        )


def _check_special_tokens(path: Path) -> None:
    try:
        TypeAdapter(dict[str, int]).validate_python(read_json(path))
    except ValidationError:
        raise BaseModelProblem(f"{path} is not a table of tokens and their ids", AGAIN) from None


def _check_tokenizer(path: Path) -> None:
    lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
    try:
        ranks = [(base64.b64decode(token, validate=True), int(rank)) for token, rank in lines]
    except (ValueError, binascii.Error):
        ranks = []
    if not ranks:
        raise BaseModelProblem(f"{path} is not a tiktoken file", AGAIN)
