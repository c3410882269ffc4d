"""The families of base models, and the shape of a folder by the `model_type` of its config.json."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from fintts_inputs.base_model.csm import CSM_FAMILY
from fintts_inputs.base_model.fish import FISH_FAMILY
from fintts_inputs.base_model.licence import read_licence
from fintts_inputs.base_model.reading import (
    AGAIN,
    read_json,
    refuse_infinite,
    refuse_no_base_model,
    validated,
)
from fintts_inputs.errors import BaseModelProblem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from fintts_inputs.base_model.family import Family
    from fintts_inputs.base_model.licence import Licence
    from fintts_inputs.base_model.shape import ModelShape, StackShape
    from fintts_inputs.prompts import Prompt

FAMILIES: dict[str, Family] = {family.name: family for family in (FISH_FAMILY, CSM_FAMILY)}


@dataclass(frozen=True)
class BaseModelConfig:
    """The config.json of a base model, read and checked once; its weights may be elsewhere.

    Attributes:
        content: the parsed file, for families that need more than the shape.
    """

    folder: Path
    content: object
    shape: ModelShape

    @cached_property
    def licence(self) -> Licence:
        """The licence that the folder states.

        Raises:
            InvalidRecord: a document is too large to be one.
        """
        return read_licence(self.folder, self.shape)


class ModelKind(BaseModel):
    """The key of config.json that names the kind of model."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)

    model_type: str


def prompts() -> dict[str, Prompt]:
    """Every prompt that this version knows, by name."""
    return {prompt.name: prompt for family in FAMILIES.values() for prompt in family.prompts}


def family_of(shape: ModelShape) -> Family:
    """The family that read this shape."""
    return FAMILIES[shape.family]


def read_config(folder: Path) -> BaseModelConfig:
    """Reads FOLDER/config.json.

    Raises:
        FolderMissing: there is no such folder.
        BaseModelProblem: there is no such file, or it describes an unsupported model.
    """
    refuse_no_base_model(folder)
    path = folder / "config.json"
    content = read_json(path)
    return BaseModelConfig(folder, content, parse_shape(content, str(path)))


def read_shape(folder: Path) -> ModelShape:
    """The shape alone; raises as `read_config` does."""
    return read_config(folder).shape


def parse_shape(content: object, source: str = "config.json") -> ModelShape:
    """The shape from the parsed config.json of a model of any family.

    Raises:
        BaseModelProblem: no family has such models, or a key is missing, impossible or not
            supported.
    """
    refuse_infinite(content, source)
    kind = validated(ModelKind, content, source).model_type
    readers = {key: one for family in FAMILIES.values() for key, one in family.readers.items()}
    if kind not in readers:
        titles = [title for family in FAMILIES.values() for title in family.titles]
        raise BaseModelProblem(
            f"{source}: model_type is {kind!r}, not {_listed(map(repr, readers), 'or')}",
            f"this version fine-tunes {_listed(titles, 'and')}",
        )
    shape = readers[kind](content, source)
    for stack in shape.stacks:
        _refuse_impossible(stack, source)
    return shape


def _listed(words: Iterable[str], last: str) -> str:
    *others, one = words
    return f"{', '.join(others)} {last} {one}" if others else one


def _refuse_impossible(stack: StackShape, source: str) -> None:
    shares = stack.kv_heads > 0 and stack.heads % stack.kv_heads == 0
    if not shares or stack.head_dim < 1 or stack.head_dim % 2:
        raise BaseModelProblem(
            f"{source}: {stack.heads} heads of {stack.head_dim} cannot share {stack.kv_heads} "
            "key and value heads",
            AGAIN,
        )
