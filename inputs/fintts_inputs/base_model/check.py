"""Whether a base model's folder can be trained on, as far as can be seen without torch.

A truncated download is found here, in milliseconds, and not on an instance that bills.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from fintts_inputs.base_model.families import read_shape
from fintts_inputs.base_model.files import (
    SPECIAL_TOKENS,
    TIKTOKEN,
    base_model_files,
    tokenizer_files,
)
from fintts_inputs.base_model.headers import refuse_other_weights
from fintts_inputs.base_model.reading import AGAIN, read_json, read_text
from fintts_inputs.errors import BaseModelProblem

if TYPE_CHECKING:
    from pathlib import Path


def check_base_model(folder: Path) -> None:
    """Looks at every file that the trainer reads.

    Raises:
        BaseModelProblem: one is missing, truncated, or of another kind, or the weights are not
            those that config.json describes.
    """
    base_model_files(folder)
    refuse_other_weights(folder, read_shape(folder))
    if TIKTOKEN in tokenizer_files(folder):
        _check_special_tokens(folder / SPECIAL_TOKENS)
        _check_ranks(folder / TIKTOKEN)
    else:
        for name in tokenizer_files(folder):
            _check_tokenizer(folder / name)


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
