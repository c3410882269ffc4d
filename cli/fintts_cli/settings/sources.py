"""The sources of settings: options, FINTTS_* variables, YAML files; each value with its origin."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.errors import ConfigError, refuse_empty
from fintts_cli.settings.hub_model import SCHEME, looks_like_id
from fintts_cli.settings.kinds import Kind
from fintts_cli.settings.yaml_slips import cut
from fintts_store.addresses import as_seen_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fintts_cli.settings.kinds import Taken
from fintts_cli.settings.given import OPTION, Given, Layer

PREFIX = "FINTTS_"


PROJECT_FILE = "fintts.yaml"


OTHER_VARIABLES = frozenset(
    PREFIX + name
    for name in (
        "CONFIG",
        "DEADLINE_AT",
        "DEBUG",
        "HANG_FACTOR",
        "PARITY_FIXTURES",
        "PROCESSES",
        "RUN",
        "SECRET_NOTIFY",
        "STATE_DIR",
        "WORKSPACE",
    )
)
"""Variables that are read elsewhere, on this machine or on the instance."""


LONGEST_WORD = 100
"""in characters: only this much of a word is compared with the known words"""


PATH_KEYS = frozenset({"data", "base_model", "initial_adapter", "store"}) | {
    "eval.asr",
    "eval.speaker_encoder",
    "eval.dnsmos",
}


HUB_KEYS = frozenset({"base_model", "eval.asr"})
"""may also be ids on Hugging Face"""


def variable_name(key: str) -> str:
    """training.batch_size → FINTTS_TRAINING__BATCH_SIZE"""
    return PREFIX + key.upper().replace(".", "__")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that the user probably meant: capitals and hyphens do not count, and for a
    dotted key the last part is enough."""
    spelt = {_plain(each): each for each in known}
    by_end = {plain.rpartition(".")[2]: plain for plain in reversed(spelt)}
    plain = _plain(word[:LONGEST_WORD])
    if plain in spelt or plain in by_end:
        return spelt[by_end.get(plain, plain)]
    close = difflib.get_close_matches(plain, list(spelt), n=1, cutoff=0.6)
    ends = difflib.get_close_matches(plain, list(by_end), n=1, cutoff=0.8)
    return spelt[close[0]] if close else spelt[by_end[ends[0]]] if ends else None


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")


def find_project_file(start: Path) -> Path | None:
    """The fintts.yaml of this folder, or of the nearest one above it.

    Raises:
        ConfigError: the file lies above, in a folder that belongs to another user.
    """
    candidates = (folder / PROJECT_FILE for folder in (start, *start.parents))
    found = next((path for path in candidates if path.is_file()), None)
    if found is not None and found.parent != start and not _is_ours(found):
        raise ConfigError(
            f"{found} is ignored because it or its folder belongs to another user",
            f"use --config {found} to read it; `fintts init` writes one here",
        )
    return found


def _is_ours(path: Path) -> bool:
    """Whether only this user, or the administrator, can have written the file."""
    owners = {path.stat().st_uid, path.lstat().st_uid, path.parent.stat().st_uid}
    return owners <= {os.getuid(), 0}


def from_options(options: Mapping[str, object], folder: Path) -> Layer:
    """The options that were given; None means that an option was not."""
    return {
        key: Given(_anchored(key, value, folder), OPTION)
        for key, value in options.items()
        if value is not None
    }


def from_environment(
    environment: Mapping[str, str], keys: Mapping[str, Taken], folder: Path
) -> tuple[Layer, list[str]]:
    """The FINTTS_* variables that are settings, and one sentence for each that is not.

    Args:
        keys: every known key and the values it takes; commas separate a list in a variable.
        folder: the base of relative paths.

    Raises:
        ConfigError: a variable for a setting is empty, which usually means that a value got lost.
    """
    known = {variable_name(key): key for key in keys}
    layer: Layer = {}
    warnings: list[str] = []
    for name, text in sorted(environment.items()):
        key = known.get(name)
        if key is None:
            if name.startswith(PREFIX) and name not in OTHER_VARIABLES:
                warnings.append(_unknown_variable(name, known))
            continue
        refuse_empty(name, text)
        is_list = keys[key].kind is Kind.LIST
        value = [part.strip() for part in text.split(",")] if is_list else text
        layer[key] = Given(_anchored(key, value, folder), name, text)
    return layer, warnings


def _unknown_variable(name: str, known: Iterable[str]) -> str:
    meant = nearest(name, [*known, *OTHER_VARIABLES])
    question = f"; did you mean {meant}?" if meant else ""
    return f"{name} is not a setting and is ignored{question}"


def from_file(path: Path, keys: Mapping[str, Taken]) -> Layer:
    """A YAML file's values by dotted key, each with its line.

    Raises:
        ConfigError: the file cannot be read, is not a mapping, or has an unknown or repeated key.
    """
    from fintts_cli.settings.yaml_file import YamlFile

    folder = path.absolute().parent
    layer = {
        entry.key: Given(
            _anchored(entry.key, entry.value, folder), f"{path.name}:{entry.line}", entry.written
        )
        for entry in YamlFile(path, keys).entries().values()
    }
    _refuse_unknown(layer, keys)
    return layer


def _refuse_unknown(layer: Layer, known: Iterable[str]) -> None:
    unknown = [key for key in layer if key not in known]
    if not unknown:
        return
    sentences = [f"{layer[key].origin}: unknown key {cut(key)}" for key in unknown]
    sections = {key.rpartition(".")[0] for key in known} - {""}
    meant = {key: nearest(key, [*sections, *known]) for key in unknown}
    suggestions = [f"did you mean {word} for {cut(key)}?" for key, word in meant.items() if word]
    hint = " ".join(suggestions) or "`fintts init --config example.yaml` writes every known key"
    raise ConfigError("; ".join(sentences), hint)


def _anchored(key: str, value: object, folder: Path) -> object:
    """Makes a relative path absolute, based on where it was written."""
    if key not in PATH_KEYS or not isinstance(value, str | Path):
        return value
    if not str(value).strip():
        return value
    if key == "store":
        return as_seen_from(folder, str(value))
    if "://" in str(value):
        return value
    if key in HUB_KEYS and looks_like_id(str(value)) and not (folder / value).exists():
        return f"{SCHEME}{value}"
    try:
        path = Path(value).expanduser()
    except RuntimeError:  # ~user, for a user unknown to this machine
        path = Path(value)
    return os.path.normpath(folder / path)
