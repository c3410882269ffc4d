"""Reads the text and JSON files of a base model's folder, and validates the numbers in
config.json."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import BaseModel, Field, ValidationError

from fintts_inputs.errors import BaseModelProblem, FolderMissing
from fintts_store.disk.reading import read_limited
from fintts_store.errors import StoreError
from fintts_store.runs.limits import TOKENIZER_BYTES

if TYPE_CHECKING:
    from pathlib import Path

AGAIN = "download the base model again"

MOST, MOST_LAYERS = 2**31 - 1, 1000
Size = Annotated[int, Field(ge=1, le=MOST)]
Layers = Annotated[int, Field(ge=1, le=MOST_LAYERS)]
RopeBase = Annotated[float, Field(gt=0, le=1e12)]
NormEps = Annotated[float, Field(gt=0, lt=1)]
"""Numbers of any model's config.json."""

Schema = TypeVar("Schema", bound=BaseModel)


def refuse_no_base_model(folder: Path) -> None:
    """Raises FolderMissing if there is no such folder."""
    if not folder.is_dir():
        raise FolderMissing(
            f"the base model folder {folder} does not exist",
            "set base_model to the folder that holds config.json, the weights and the tokenizer",
        )


def read_text(path: Path) -> str:
    """Reads a text file of a base model's folder.

    Raises:
        BaseModelProblem: it does not exist, or cannot be read.
    """
    try:
        return read_limited(path, TOKENIZER_BYTES).decode("utf-8")
    except FileNotFoundError:
        raise BaseModelProblem(
            f"the base model folder {path.parent} has no {path.name}",
            "give the folder that holds config.json, the weights and the tokenizer",
        ) from None
    except UnicodeDecodeError as error:
        raise BaseModelProblem(f"{path} cannot be read: {error}", AGAIN) from None
    except StoreError as error:
        raise BaseModelProblem(error.message, AGAIN) from None


def read_json(path: Path) -> object:
    """Reads a JSON file of a base model's folder.

    Raises:
        BaseModelProblem: it does not exist, cannot be read, or is not JSON.
    """
    return parse_json(read_text(path), str(path))


def parse_json(text: str | bytes, source: str) -> object:
    """Parses the text of a JSON file.

    Raises:
        BaseModelProblem: it is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BaseModelProblem(f"{source} is not JSON: {error}", AGAIN) from None


def validated(schema: type[Schema], content: object, source: str) -> Schema:
    """Validates the content with this schema.

    Raises:
        BaseModelProblem: it does not fit; the message names the first key at fault.
    """
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":  # two keys that contradict each other
            said = first["msg"].removeprefix("Value error, ")
            raise BaseModelProblem(f"{source}: {said}") from None
        key = ".".join(str(part) for part in first["loc"])
        what = f"{key}: {first['msg']}" if key else "it is not an object with keys"
        if key and first["type"] != "missing":
            what += f", not {json.dumps(first['input']):.40}"
        raise BaseModelProblem(f"{source}: {what}", AGAIN) from None


def refuse_infinite(content: object, source: str) -> None:
    """Raises BaseModelProblem for NaN and Infinity, which Python's JSON parser accepts."""
    left: list[tuple[str, object]] = [("", content)]
    while left:
        key, value = left.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise BaseModelProblem(f"{source}: {key} is {value}, not a number", AGAIN)
        if isinstance(value, dict):
            left += [(f"{key}.{name}".lstrip("."), one) for name, one in value.items()]
        elif isinstance(value, list):
            left += [(key, one) for one in value]
