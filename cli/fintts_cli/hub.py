"""Base models by Hugging Face id: downloaded once, into the cache that all its tools share."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.errors import ConfigError
from fintts_inputs.base_model.files import base_model_files
from fintts_inputs.errors import BaseModelProblem
from fintts_store.errors import first_line
from fintts_store.file_names import BASE_MODEL, is_weights_name
from fintts_store.proxies import TO_WRITE, is_url, malformed_proxy
from fintts_store.redaction import clean_logs, fault_of_secret, remember_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fintts_cli.terminal import Terminal

SCHEME = "hf://"
_ID = re.compile(r"(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)(?:@(?P<revision>[\w./-]+))?")

CONFIG = "config.json"
PICKLED_WEIGHTS = "model.pth"
PARTS = BASE_MODEL - {PICKLED_WEIGHTS}
SAFE_WEIGHTS = ".safetensors"
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Hugging Face's library takes the first that is set, else a file"""


@dataclass(frozen=True, slots=True)
class HubModel:
    """A repository of models, such as fishaudio/openaudio-s1-mini, and which state of it."""

    repository: str
    revision: str | None = None
    """a branch, a tag or a commit; None is the newest"""

    def __str__(self) -> str:
        return self.repository if self.revision is None else f"{self.repository}@{self.revision}"


def looks_like_id(text: str) -> bool:
    """Whether this may be OWNER/NAME or OWNER/NAME@REVISION; a folder may be called so, too."""
    return _ID.fullmatch(text) is not None


def parse(text: str) -> HubModel:
    """`hf://OWNER/NAME@REVISION`, with or without the beginning and the end.

    Raises:
        ValueError: it is no such thing.
    """
    found = _ID.fullmatch(text.removeprefix(SCHEME))
    if found is None:
        raise ValueError("a base model of Hugging Face's is hf://OWNER/NAME or hf://OWNER/NAME@REV")
    return HubModel(found["repository"], found["revision"])


def not_here(model: HubModel) -> ConfigError:
    """What to say where a model would have to be here already."""
    return ConfigError(
        f"the base model {model} has not been downloaded to this machine yet",
        "`fintts cloud launch` and `fintts train` download it; for an estimate its description is "
        f"enough: hf download {model.repository} {CONFIG}",
    )


def cached(model: HubModel) -> Path | None:
    """Where it lies on this machine, if all of it was downloaded before; asks nobody."""

    folder = _cached_folder(model)
    if folder is None:
        return None
    try:
        base_model_files(folder)
    except BaseModelProblem:  # only its description, or not all of its weights
        return None
    return folder


def described(model: HubModel) -> Path | None:
    """The folder with its config.json, which says its shape; asks nobody."""
    folder = _cached_folder(model)
    return folder if folder is not None and (folder / CONFIG).is_file() else None


def _cached_folder(model: HubModel) -> Path | None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return _snapshot(model, local_files_only=True)
    except LocalEntryNotFoundError:
        return None


def describe(model: HubModel) -> None:
    """Downloads its config.json, a few kilobytes, which is enough for an estimate.

    Raises:
        ConfigError: as of `download`.
    """
    _explained(model, lambda: _snapshot(model, allow_patterns=[CONFIG]))


def download(model: HubModel, terminal: Terminal) -> Path:
    """Brings what a base model consists of here, and what says under which licence it is.

    What is there already is not fetched again; what broke off is taken up where it broke.

    Raises:
        ConfigError: there is no such repository or revision, its licence was not accepted, it
            holds no base model, the network fails or the disk is full.
    """
    from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

    (enable_progress_bars if terminal.is_live else disable_progress_bars)()
    return _explained(model, lambda: _download(model, terminal.say))


def _download(model: HubModel, tell: Callable[[str], None]) -> Path:
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_OFFLINE

    here = cached(model) if HF_HUB_OFFLINE else None
    if here is not None:
        return here
    found = HfApi().model_info(model.repository, revision=model.revision)
    names = wanted_files([file.rfilename for file in found.siblings or []])
    tell(f"{model} at commit {(found.sha or 'unknown')[:12]}: {len(names)} files")
    # By the name that was asked for, so that the cache knows it again without the network.
    return _snapshot(model, allow_patterns=names)


def _snapshot(
    model: HubModel, *, allow_patterns: list[str] | None = None, local_files_only: bool = False
) -> Path:
    from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType] # its progress bar is untyped

    return Path(
        snapshot_download(
            model.repository,
            revision=model.revision,
            allow_patterns=allow_patterns,
            local_files_only=local_files_only,
        )
    )


def wanted_files(names: Sequence[str]) -> list[str]:
    """Of a repository's files those of a base model; weights that can hold code only where there
    are no others."""
    top = [name for name in names if "/" not in name]
    named = [name for name in top if is_weights_name(name)]
    safe = [name for name in named if name.endswith(SAFE_WEIGHTS)]
    weights = safe or [name for name in top if name == PICKLED_WEIGHTS]
    parts = [name for name in top if name in PARTS]
    indices = [name for name in named if name not in safe]
    return sorted({*weights, *parts, *indices})


def _explained(model: HubModel, work: Callable[[], Path]) -> Path:
    import httpx
    from huggingface_hub import errors

    page = f"https://huggingface.co/{model.repository}"
    _check_token()
    _check_ways()
    clean_logs()  # of its tries, with the URLs
    try:
        return work()
    except errors.GatedRepoError:
        raise ConfigError(
            f"the licence of {model.repository} has to be accepted before it can be downloaded",
            f"accept it at {page}, then `hf auth login`, or set HF_TOKEN, on this machine alone",
        ) from None
    except errors.RevisionNotFoundError:
        raise ConfigError(
            f"{model.repository} has no revision {model.revision}", f"see {page}/commits"
        ) from None
    except errors.RepositoryNotFoundError:
        raise ConfigError(
            f"there is no folder {model.repository} here, and no such model at Hugging Face",
            "correct base_model; for a private one, `hf auth login` or set HF_TOKEN",
        ) from None
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, httpx.HTTPError) as error:
        raise ConfigError(
            f"{model} cannot be downloaded: {first_line(error)}",
            "try again when Hugging Face can be reached, or set base_model to a folder",
        ) from None
    except errors.OfflineModeIsEnabled:
        raise ConfigError(
            f"{model} is not on this machine, and HF_HUB_OFFLINE forbids to download it",
            "unset HF_HUB_OFFLINE",
        ) from None
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigError(
            f"Hugging Face cannot be asked for {model}: {first_line(error)}",
            "see that base_model, HF_ENDPOINT, HTTPS_PROXY and HTTP_PROXY are well formed",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{model} cannot be stored here: {error.strerror or first_line(error)}",
            "HF_HOME names another disk",
        ) from None


def _check_token() -> None:
    """Raises ConfigError for a token that no request can carry, before one does."""
    from huggingface_hub.constants import HF_TOKEN_PATH

    name = next((name for name in TOKENS if os.environ.get(name)), HF_TOKEN_PATH)
    token = os.environ.get(name) if name in TOKENS else _token_in(Path(HF_TOKEN_PATH))
    fault = fault_of_secret(token) if token else ""
    if fault:
        raise ConfigError(
            f"the token in {name} {fault}",
            "`hf auth login` writes it anew; https://huggingface.co/settings/tokens shows yours",
        )


def _check_ways() -> None:
    """Raises ConfigError for a server or a proxy that no request can go to, before one does."""
    from huggingface_hub import constants

    if not is_url(constants.ENDPOINT):
        raise ConfigError(
            "HF_ENDPOINT is not the URL of a server", "write https://HOST, or unset it"
        )
    if (name := malformed_proxy()) != "":
        raise ConfigError(f"{name} is not the URL of a proxy", TO_WRITE)


def _token_in(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # there is none
        return ""
    remember_secrets(token)
    return token


def origin_of(folder: Path) -> HubModel | None:
    """Of which repository and commit a folder of the cache is; None for any other folder.

    The cache's layout is documented: models--OWNER--NAME/snapshots/COMMIT.
    """
    kind, _, rest = folder.parent.parent.name.partition("--")
    if folder.parent.name != "snapshots" or kind != "models" or not rest:
        return None
    return HubModel(rest.replace("--", "/", 1), folder.name)
