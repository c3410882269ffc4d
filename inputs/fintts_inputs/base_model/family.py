"""The port of a base model family, as far as its files are concerned; needs no torch.

To add one, write a folder beside `fish` and `csm` with a `Family`, and a line in families.py. The
code that trains it implements `BaseModelFamily` in fintts_trainer.families.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.base_model.sides import Sides
    from fintts_inputs.prompts import Prompt


class Modules(NamedTuple):
    """The modules that an adapter can change; embeddings and heads in the order of `Ends`."""

    slow: str
    embeddings: tuple[str, ...]
    heads: tuple[str, ...]
    fast: str = ""
    """empty where there is no second network"""


def _same_key(key: str, _shape: ModelShape) -> str:
    return key


@dataclass(frozen=True, slots=True)
class Family:
    """Base models whose folders have the same format.

    Attributes:
        name: the value of `ModelShape.family`.
        titles: the models, for people.
        readers: `model_type` of config.json → a function that reads such a file, given its name for
            errors.
        prompts: the prompts of runs on such models; first the one of runs without a recorded
            prompt.
        modules: what an adapter may change.
        expected: the weights that a shape describes, under their names in this release, which the
            names in the files identify.
        deciding_keys: the keys of config.json that decide whether a weight exists, given its name
            and those in the files.
        key_in_file: the name of a `Side.keys` key in this model's config.json.
        left_out: prefix of weights that training does not read, such as a codec's.
        may_be_pickled: whether model.pth will do in place of safetensors.
    """

    name: str
    titles: tuple[str, ...]
    readers: Mapping[str, Callable[[object, str], ModelShape]]
    prompts: tuple[Prompt, ...]
    modules: Modules
    expected: Callable[[Collection[str], ModelShape], dict[str, Sides]]
    deciding_keys: Callable[[str, Collection[str], ModelShape], tuple[str, ...]]
    key_in_file: Callable[[str, ModelShape], str] = _same_key
    left_out: str | None = None
    may_be_pickled: bool = False

    def reads(self, name: str) -> bool:
        """Whether training reads the weight of this name."""
        return self.left_out is None or not name.startswith(self.left_out)
