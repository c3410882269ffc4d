"""Base models by Hugging Face id, each downloaded once into the cache that all HF tools share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from huggingface_hub import (
    HfApi,
    constants,
    errors,
    snapshot_download,  # pyright: ignore[reportUnknownVariableType] # its progress bar is untyped
)
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

from fintts_cli.errors import ConfigError
from fintts_cli.settings.hub_model import CONFIG, HubModel
from fintts_inputs.base_model.files import base_model_files
from fintts_inputs.errors import BaseModelProblem, InputError
from fintts_inputs.eval_models import recogniser_files
from fintts_store.errors import first_line
from fintts_store.file_names import BASE_MODEL, CODEC, EVAL_MODEL, is_weights_name
from fintts_store.network.proxies import TO_WRITE, is_url, malformed_proxy
from fintts_store.output.redaction import clean_logs, fault_of_secret, remember_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


PICKLED_WEIGHTS = "model.pth"


PARTS = BASE_MODEL - {PICKLED_WEIGHTS}


SAFE_WEIGHTS = ".safetensors"


TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Hugging Face's library uses the first that is set, else a file"""


def cached(model: HubModel) -> Path | None:
    """The model's folder on this machine, if it was downloaded completely; works offline."""
    folder = _cached_folder(model)
    if folder is None:
        return None
    try:
        base_model_files(folder)
    except BaseModelProblem:  # only its description, or not all of its weights
        return None
    return folder


def described(model: HubModel) -> Path | None:
    """The folder with the model's config.json, which says its shape; works offline."""
    folder = _cached_folder(model)
    return folder if folder is not None and (folder / CONFIG).is_file() else None


def _cached_folder(model: HubModel) -> Path | None:
    try:
        return _snapshot(model, local_files_only=True)
    except LocalEntryNotFoundError:
        return None


def describe(model: HubModel) -> None:
    """Downloads the model's config.json, a few kilobytes, which is enough for an estimate.

    Raises:
        ConfigError: as of `download`.
    """
    _explained(model, lambda: _snapshot(model, allow_patterns=[CONFIG]))


def download(
    model: HubModel,
    say: Callable[[str], None],
    *,
    shows_progress: bool,
    with_codec: bool = False,
) -> Path:
    """Downloads the files of a base model and of its licence.

    For a run that speaks, also downloads the codec, which may be larger than the model.

    Skips files that are here already, and continues partial downloads.

    Raises:
        ConfigError: there is no such repository or revision, you have not accepted its licence, it
            holds no base model, the network fails or the disk is full.
    """
    (enable_progress_bars if shows_progress else disable_progress_bars)()
    return _explained(model, lambda: _download(model, say, with_codec=with_codec))


def cached_recogniser(model: HubModel) -> Path | None:
    """The folder of a speech recogniser on this machine, if it was downloaded completely."""
    folder = _cached_folder(model)
    if folder is None:
        return None
    try:
        recogniser_files(folder)
    except InputError:
        return None
    return folder


def download_recogniser(
    model: HubModel, say: Callable[[str], None], *, shows_progress: bool
) -> Path:
    """Downloads a speech recogniser, as safetensors alone.

    Raises:
        ConfigError: as of `download`.
    """
    (enable_progress_bars if shows_progress else disable_progress_bars)()

    def work() -> Path:
        here = cached_recogniser(model) if constants.HF_HUB_OFFLINE else None
        if here is not None:
            return here
        found = HfApi().model_info(model.repository, revision=model.revision)
        top = [file.rfilename for file in found.siblings or [] if "/" not in file.rfilename]
        names = [name for name in top if name in EVAL_MODEL or is_weights_name(name)]
        say(f"{model} at commit {(found.sha or 'unknown')[:12]}: {len(names)} files")
        return _snapshot(model, allow_patterns=names)

    return _explained(model, work, "eval.asr")


def _download(model: HubModel, tell: Callable[[str], None], *, with_codec: bool) -> Path:
    here = cached(model) if constants.HF_HUB_OFFLINE else None
    if here is not None:
        return here
    found = HfApi().model_info(model.repository, revision=model.revision)
    there = [file.rfilename for file in found.siblings or []]
    names = wanted_files(there)
    names += [name for name in there if with_codec and name in CODEC]
    tell(f"{model} at commit {(found.sha or 'unknown')[:12]}: {len(names)} files")
    # By the name that was asked for, so that the cache knows it again without the network.
    return _snapshot(model, allow_patterns=names)


def _snapshot(
    model: HubModel, *, allow_patterns: list[str] | None = None, local_files_only: bool = False
) -> Path:
    return Path(
        snapshot_download(
            model.repository,
            revision=model.revision,
            allow_patterns=allow_patterns,
            local_files_only=local_files_only,
        )
    )


def wanted_files(names: Sequence[str]) -> list[str]:
    """The files of a base model in a repository; weights that can hold code only if there are no
    others."""
    top = [name for name in names if "/" not in name]
    named = [name for name in top if is_weights_name(name)]
    safe = [name for name in named if name.endswith(SAFE_WEIGHTS)]
    weights = safe or [name for name in top if name == PICKLED_WEIGHTS]
    parts = [name for name in top if name in PARTS]
    indices = [name for name in named if name not in safe]
    return sorted({*weights, *parts, *indices})


def _explained(model: HubModel, work: Callable[[], Path], key: str = "base_model") -> Path:
    page = f"https://huggingface.co/{model.repository}"
    _check_token()
    _check_ways()
    clean_logs()  # of its tries, with the URLs
    try:
        return work()
    except errors.GatedRepoError:
        raise ConfigError(
            f"accept the licence of {model.repository} before you download it",
            f"open {page}, then run `hf auth login` or set HF_TOKEN; this machine alone needs it",
        ) from None
    except errors.RevisionNotFoundError:
        raise ConfigError(
            f"{model.repository} has no revision {model.revision}", f"see {page}/commits"
        ) from None
    except errors.RepositoryNotFoundError:
        raise ConfigError(
            f"{model.repository} is neither a folder here nor a model on Hugging Face",
            f"correct {key}; for a private model, run `hf auth login` or set HF_TOKEN",
        ) from None
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, httpx.HTTPError) as error:
        raise ConfigError(
            f"{model} cannot be downloaded: {first_line(error)}",
            f"try again when you can reach Hugging Face, or set {key} to a folder",
        ) from None
    except errors.OfflineModeIsEnabled:
        raise ConfigError(
            f"{model} is not on this machine, and HF_HUB_OFFLINE forbids downloading it",
            "unset HF_HUB_OFFLINE",
        ) from None
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigError(
            f"Hugging Face cannot be reached for {model}: {first_line(error)}",
            f"check that {key}, HF_ENDPOINT, HTTPS_PROXY and HTTP_PROXY are well formed",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{model} cannot be stored here: {error.strerror or first_line(error)}",
            "set HF_HOME to a folder on another disk",
        ) from None


def _check_token() -> None:
    """Raises ConfigError for a malformed token, before a request uses it."""
    name = next((name for name in TOKENS if os.environ.get(name)), constants.HF_TOKEN_PATH)
    token = os.environ.get(name) if name in TOKENS else _token_in(Path(constants.HF_TOKEN_PATH))
    fault = fault_of_secret(token) if token else ""
    if fault:
        raise ConfigError(
            f"the token in {name} {fault}",
            "run `hf auth login`; https://huggingface.co/settings/tokens lists your tokens",
        )


def _check_ways() -> None:
    """Raises ConfigError for a malformed server or proxy, before a request uses it."""
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
