"""Finds the files of a base model in its folder: configuration, weights, tokenizer and licence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fintts_inputs.base_model.reading import AGAIN, read_json, refuse_no_base_model
from fintts_inputs.errors import BaseModelProblem
from fintts_inputs.links import refuse_links_out
from fintts_store.file_names import is_weights_name

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "config.json"
PICKLED, SAFETENSORS, INDEX = "model.pth", "model.safetensors", "model.safetensors.index.json"
WEIGHTS = (SAFETENSORS, INDEX, PICKLED)
"""The first existing one counts. Formats that cannot contain code come first."""

TIKTOKEN, SPECIAL_TOKENS, TOKENIZER = "tokenizer.tiktoken", "special_tokens.json", "tokenizer.json"
TOKENIZERS = ((TIKTOKEN, SPECIAL_TOKENS), (TOKENIZER,))

README = "README.md"
DOCUMENTS = (README, "LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE")
"""They state the licence of the weights, so they are copied with them."""


class ConfigOfWeights(BaseModel):
    """The key of config.json for weights under another name."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    transformers_weights: str | None = None


class IndexFile(BaseModel):
    """model.safetensors.index.json: which file holds which weight."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    weight_map: dict[str, str] = Field(min_length=1)


def find_weights(folder: Path) -> str:
    """The name of the weights' file, or of the index if there are several files.

    Raises:
        BaseModelProblem: there is none.
    """
    named = _named_weights(folder)
    candidates = WEIGHTS if named is None else (named,)
    for name in candidates:
        if (folder / _inside(folder, name)).is_file():
            return name
    raise BaseModelProblem(
        f"the base model folder {folder} has no {' or '.join(sorted(candidates))}",
        "give the folder that holds config.json, the weights and the tokenizer",
    )


def read_index(path: Path) -> dict[str, str]:
    """Weight → file of the same folder.

    Raises:
        BaseModelProblem: it is not such a table, or names a file outside the folder.
    """
    try:
        where = IndexFile.model_validate(read_json(path)).weight_map
    except ValidationError:
        raise BaseModelProblem(f"{path} is not a table of weights and files", AGAIN) from None
    for name in where.values():
        _inside(path.parent, name)
    return where


def weight_files(folder: Path) -> tuple[str, ...]:
    """The files with the weights, without the index.

    Raises:
        BaseModelProblem: there are no weights, or one of several files is missing.
    """
    found = find_weights(folder)
    if not found.endswith(".index.json"):
        return (found,)
    names = tuple(sorted(set(read_index(folder / found).values())))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise BaseModelProblem(
            f"the base model folder {folder} has no {', '.join(missing)}, which {found} names",
            AGAIN,
        )
    return names


def tokenizer_files(folder: Path) -> tuple[str, ...]:
    """The files of the tokenizer. Fish Speech's format takes precedence over Hugging Face's.

    Raises:
        BaseModelProblem: no tokenizer is complete.
    """
    for names in TOKENIZERS:
        if all((folder / name).is_file() for name in names):
            return names
    begun = next((names for names in TOKENIZERS if any((folder / n).is_file() for n in names)), ())
    missing = [name for name in begun if not (folder / name).is_file()]
    raise BaseModelProblem(
        f"the base model folder {folder} has no {', '.join(missing) or 'tokenizer'}",
        f"a tokenizer is {' or '.join(' and '.join(names) for names in TOKENIZERS)}",
    )


def base_model_files(folder: Path) -> tuple[str, ...]:
    """All files that the trainer reads, and the licence if there is one.

    Raises:
        FolderMissing: there is no such folder.
        BaseModelProblem: a file is missing, or a link out of the folder.
    """
    refuse_no_base_model(folder)
    refuse_links_out(folder, (CONFIG, INDEX))  # before they are read
    if not (folder / CONFIG).is_file():
        raise BaseModelProblem(
            f"the base model folder {folder} has no {CONFIG}",
            "give the folder that holds config.json, the weights and the tokenizer",
        )
    documents = [name for name in DOCUMENTS if (folder / name).is_file()]
    weights = {find_weights(folder), *weight_files(folder)}
    files = (CONFIG, *sorted(weights), *tokenizer_files(folder), *documents)
    refuse_links_out(folder, files)
    return files


def _named_weights(folder: Path) -> str | None:
    try:
        return ConfigOfWeights.model_validate(read_json(folder / CONFIG)).transformers_weights
    except ValidationError:
        raise BaseModelProblem(f"{folder / CONFIG} does not name its weights", AGAIN) from None


def _inside(folder: Path, name: str) -> str:
    """The name, if it belongs to a weights file directly in the folder."""
    if "/" in name or "\\" in name or name in ("", ".", ".."):
        raise BaseModelProblem(
            f"{folder} names weights outside the folder: {name!r}",
            "download the released base model",
        )
    if name != PICKLED and not is_weights_name(name):
        raise BaseModelProblem(
            f"{folder} names an invalid weight file: {name!r}",
            "download the released base model, as .safetensors",
        )
    return name
