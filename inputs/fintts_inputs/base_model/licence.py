"""The licence of a base model's weights, which also covers everything derived from them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_inputs.base_model.files import DOCUMENTS, README
from fintts_store.disk.reading import read_limited
from fintts_store.runs.limits import DOCUMENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fintts_inputs.base_model.shape import ModelShape

_CARD = re.compile(r"\A---\n(.*?)\n---", re.DOTALL)
_KEY = re.compile(r"^(license|license_name|license_link):[ \t]*(.+?)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence, and where it is stated.

    Attributes:
        identifier: as in Hugging Face's model cards: `cc-by-nc-sa-4.0`, `other`, `unknown`.
        name: its own name, if the identifier is `other`.
        link: where it can be read.
        source: where it was found, as part of a sentence.
    """

    identifier: str
    source: str
    name: str = ""
    link: str = ""

    @property
    def is_known(self) -> bool:
        """Whether a licence was found."""
        return self.identifier != UNKNOWN

    @property
    def title(self) -> str:
        """The name for people."""
        return self.name or self.identifier

    @property
    def sentence(self) -> str:
        """The text for a model card."""
        if not self.is_known:
            return (
                "The base model's folder does not state a licence. Check it at the source of "
                "the weights before you share this."
            )
        return (
            f"The base model's weights are licensed under {self.title} ({self.source}). This is "
            "derived from them, so the same restrictions apply to it."
        )


UNKNOWN = "unknown"
NOT_KNOWN = Licence(UNKNOWN, "")
_BY_SHAPE = "as its release of this shape is"
_NON_COMMERCIAL = Licence(
    "cc-by-nc-sa-4.0",
    _BY_SHAPE,
    "CC-BY-NC-SA-4.0",
    "https://creativecommons.org/licenses/by-nc-sa/4.0/",
)
RELEASED: dict[tuple[str, int, int, int], Licence] = {
    ("fish", 102_048, 24, 1024): _NON_COMMERCIAL,
    ("fish", 155_776, 28, 1024): _NON_COMMERCIAL,
    ("fish", 155_776, 36, 2560): Licence(
        "other",
        _BY_SHAPE,
        "fish-audio-research-license",
        "https://huggingface.co/fishaudio/s2-pro/blob/main/LICENSE.md",
    ),
}
"""Fish Speech 1.5, OpenAudio S1-mini and S2-pro, by family, vocabulary, slow layers and width"""


def read_licence(folder: Path, shape: ModelShape) -> Licence:
    """The licence of a base model's folder, by `licence_of`.

    Raises:
        InvalidRecord: a document is too large to be one.
    """
    documents = {
        name: read_limited(folder / name, DOCUMENT_BYTES).decode("utf-8", errors="replace")
        for name in DOCUMENTS
        if (folder / name).is_file()
    }
    return licence_of(documents, shape)


def licence_of(documents: Mapping[str, str], shape: ModelShape) -> Licence:
    """From the model card, else from a licence file, else from the known release of this shape.

    Args:
        documents: the texts of README and licence files, by name.
    """
    card = _from_card(documents.get(README, ""))
    if card is not None:
        return card
    for name, text in sorted(documents.items()):
        heading = next((line.strip(" #*=\t") for line in text.splitlines() if line.strip()), "")
        if name != README and heading:
            return Licence("other", f"says its {name}", heading, name)
    known = RELEASED.get((shape.family, shape.vocab_size, shape.slow.layers, shape.slow.dim))
    return known or NOT_KNOWN


def _from_card(text: str) -> Licence | None:
    """The keys in the front matter of a model card; None if it names no licence."""
    card = _CARD.match(text.replace("\r\n", "\n"))
    keys = {key: value.strip("\"'") for key, value in _KEY.findall(card[1])} if card else {}
    if not keys.get("license") or keys["license"] == UNKNOWN:
        return None
    return Licence(
        keys["license"],
        f"says its {README}",
        keys.get("license_name", ""),
        keys.get("license_link", ""),
    )
