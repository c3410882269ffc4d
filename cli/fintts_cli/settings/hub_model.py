"""A base model's id on Hugging Face: `OWNER/NAME` or `OWNER/NAME@REVISION`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

SCHEME = "hf://"
_ID = re.compile(r"(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)(?:@(?P<revision>[\w./-]+))?")
CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model repository, such as fishaudio/openaudio-s1-mini, and its revision."""

    repository: str
    revision: str | None = None
    """a branch, a tag or a commit; None means the newest"""

    def __str__(self) -> str:
        return self.repository if self.revision is None else f"{self.repository}@{self.revision}"


def looks_like_id(text: str) -> bool:
    """Whether this may be OWNER/NAME or OWNER/NAME@REVISION; a folder may have such a name, too."""
    return _ID.fullmatch(text) is not None


def parse(text: str) -> HubModel:
    """Parses `hf://OWNER/NAME@REVISION`, where `hf://` and `@REVISION` are optional.

    Raises:
        ValueError: the text is not such an id.
    """
    found = _ID.fullmatch(text.removeprefix(SCHEME))
    if found is None:
        raise ValueError(
            "write a Hugging Face model as hf://OWNER/NAME or hf://OWNER/NAME@REVISION"
        )
    return HubModel(found["repository"], found["revision"])


def not_here(model: HubModel) -> ConfigError:
    """The error for a model that must already be on this machine."""
    return ConfigError(
        f"the base model {model} is not on this machine yet",
        "`fintts cloud launch` and `fintts train` download it; an estimate only needs its "
        f"description: hf download {model.repository} {CONFIG}",
    )


def origin_of(folder: Path) -> HubModel | None:
    """The repository and commit of a folder in the cache; None for any other folder.

    The cache's layout is documented: models--OWNER--NAME/snapshots/COMMIT.
    """
    kind, _, rest = folder.parent.parent.name.partition("--")
    if folder.parent.name != "snapshots" or kind != "models" or not rest:
        return None
    return HubModel(rest.replace("--", "/", 1), folder.name)
