"""Where settings come from: options, FINTTS_* variables, YAML files; each with its origin."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from fintts_cli.errors import ConfigError
from fintts_cli.hub import SCHEME, looks_like_id
from fintts_store.addresses import as_seen_from
from fintts_store.disk.reading import read_limited
from fintts_store.errors import StoreError
from fintts_store.runs.limits import SETTINGS_BYTES, YAML_DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import yaml

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
        "STATE_DIR",
        "WORKSPACE",
    )
)
"""Variables that are read elsewhere, here or on the instance."""

PATH_KEYS = frozenset({"data", "base_model", "initial_adapter", "store"})


@dataclass(frozen=True, slots=True)
class Given:
    """A value that somebody gave, and where: `fintts.yaml:12`, `FINTTS_GPUS`, `option`."""

    value: object
    origin: str


Layer = dict[str, Given]
"""Dotted key → value: {"training.batch_size": Given(16, "fintts.yaml:7")}."""


def variable_name(key: str) -> str:
    """training.batch_size → FINTTS_TRAINING__BATCH_SIZE"""
    return PREFIX + key.upper().replace(".", "__")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def find_project_file(start: Path) -> Path | None:
    """The fintts.yaml of this folder or of the nearest one above it.

    Raises:
        ConfigError: it lies above, and in a folder that belongs to somebody else.
    """
    candidates = (folder / PROJECT_FILE for folder in (start, *start.parents))
    found = next((path for path in candidates if path.is_file()), None)
    if found is not None and found.parent != start and not _is_ours(found):
        raise ConfigError(
            f"{found} is not read, since it or its folder belongs to another user",
            f"--config {found} reads it; `fintts init` writes one here",
        )
    return found


def _is_ours(path: Path) -> bool:
    """Whether nobody but this user, or the administrator, can have written it."""
    owners = {path.stat().st_uid, path.lstat().st_uid, path.parent.stat().st_uid}
    return owners <= {os.getuid(), 0}


def from_options(options: Mapping[str, object], folder: Path) -> Layer:
    """What was typed; None means that the option was not."""
    return {
        key: Given(_anchored(key, value, folder), "option")
        for key, value in options.items()
        if value is not None
    }


def from_environment(
    environment: Mapping[str, str], keys: Mapping[str, bool], folder: Path
) -> tuple[Layer, list[str]]:
    """The FINTTS_* variables that are settings, and a sentence about each that is none.

    Args:
        keys: every known key, and whether it holds a list (separated by commas in a variable).
        folder: what a relative path is relative to.
    """
    known = {variable_name(key): key for key in keys}
    layer: Layer = {}
    warnings: list[str] = []
    for name, text in sorted(environment.items()):
        if not name.startswith(PREFIX) or name in OTHER_VARIABLES or not text:
            continue
        key = known.get(name)
        if key is None:
            warnings.append(_unknown_variable(name, known))
            continue
        value = [part.strip() for part in text.split(",")] if keys[key] else text
        layer[key] = Given(_anchored(key, value, folder), name)
    return layer, warnings


def _unknown_variable(name: str, known: Iterable[str]) -> str:
    meant = nearest(name, [*known, *OTHER_VARIABLES])
    question = f"; did you mean {meant}?" if meant else ""
    return f"{name} is not a setting and is ignored{question}"


def from_file(path: Path, keys: Iterable[str]) -> Layer:
    """A YAML file's values under their dotted keys, each with its line.

    Raises:
        ConfigError: the file cannot be read, is no mapping, or has an unknown or repeated key.
    """
    import yaml

    text = _read_text(path)
    try:
        _refuse_blow_up(path, text)
        node = yaml.compose(text, yaml.SafeLoader)
        if node is None:
            return {}
        lines = _lines(node, path)
        content: object = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        raise _invalid_yaml(path, error) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {str(error).splitlines()[0]}") from None
    except (
        ValueError,
        RecursionError,
    ) as error:  # no such day, 5,000 brackets
        raise ConfigError(f"{path} cannot be understood: {error}") from None
    known = set(keys)
    flat = _flatten(content, known)
    folder = path.absolute().parent
    layer = {
        key: Given(_anchored(key, value, folder), f"{path.name}:{lines[key]}")
        for key, value in flat.items()
    }
    _refuse_unknown(layer, known)
    return layer


def _read_text(path: Path) -> str:
    try:
        return read_limited(path, SETTINGS_BYTES).decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no configuration file {path}",
            "`fintts init` writes one; --config names another",
        ) from None
    except (OSError, UnicodeDecodeError, StoreError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}", "--config names a text file in UTF-8"
        ) from None


def _refuse_blow_up(path: Path, text: str) -> None:
    """Raises ConfigError for what a few bytes of YAML can make large: aliases, and deep nesting.

    It looks at one token after the other, and builds nothing.
    """
    import yaml

    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        line = f"{path.name}:{event.start_mark.line + 1 if event.start_mark else 1}"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ConfigError(
                f"{line} has an anchor (&) or an alias (*), which fintts does not read",
                "write the value out, or put the text in quotes",
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > YAML_DEPTH:
            raise ConfigError(
                f"{line} is nested more than {YAML_DEPTH} deep",
                "`fintts init` writes an example of what each key takes",
            )


def _invalid_yaml(path: Path, error: yaml.MarkedYAMLError) -> ConfigError:
    line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
    return ConfigError(
        f"{path.name}{line} is not YAML: {error.problem or error.context}",
        "a key is followed by a colon and a space, and sections are indented by two spaces",
    )


def _lines(node: yaml.Node, path: Path) -> dict[str, int]:
    """Dotted key → line number from 1; a key that is given twice is an error."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(
            f"{path.name} does not hold `key: value` lines", "`fintts init` writes an example"
        )
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key_node.tag != "tag:yaml.org,2002:str":
            raise ConfigError(
                f"{path.name}:{line}: {key} is no name in YAML",
                f"unknown keys are refused; write {key!r} in quotes if it is meant to be one",
            )
        if key in lines:
            raise ConfigError(f"{path.name}:{line} gives {key} again, after line {lines[key]}")
        lines[key] = line
        if isinstance(value_node, yaml.MappingNode):
            nested = _lines(value_node, path)
            lines |= {f"{key}.{name}": number for name, number in nested.items()}
    return lines


def _flatten(content: object, known: set[str], prefix: str = "") -> dict[str, object]:
    """{"a": {"b": 1}} → {"a.b": 1}; a section without keys is left out, a null is kept."""
    if not isinstance(content, dict):
        return {}
    flat: dict[str, object] = {}
    for name, value in cast("dict[object, object]", content).items():
        key = f"{prefix}{name}"
        is_section = any(other.startswith(f"{key}.") for other in known)
        if isinstance(value, dict):
            nested = _flatten(cast("object", value), known, f"{key}.")
            flat |= nested or ({} if is_section else {key: {}})
        elif not (is_section and value is None):
            flat[key] = value
    return flat


def _refuse_unknown(layer: Layer, known: set[str]) -> None:
    unknown = [key for key in layer if key not in known]
    if not unknown:
        return
    sentences = [_unknown_key(key, layer[key].origin, known) for key in unknown]
    meant = {key: nearest(key, known) for key in unknown}
    suggestions = [f"did you mean {word} for {key}?" for key, word in meant.items() if word]
    hint = " ".join(suggestions) or "`fintts init --config example.yaml` writes every known key"
    raise ConfigError("; ".join(sentences), hint)


def _unknown_key(key: str, origin: str, known: set[str]) -> str:
    if any(other.startswith(f"{key}.") for other in known):
        return f"{origin}: {key} is a section: its keys stand indented below it"
    return f"{origin}: unknown key {key}"


def _anchored(key: str, value: object, folder: Path) -> object:
    """A relative path made absolute, as seen from where it was written."""
    if key not in PATH_KEYS or not isinstance(value, str | Path):
        return value
    if key == "store":
        return as_seen_from(folder, str(value))
    if not str(value) or "://" in str(value):
        return value
    if key == "base_model" and looks_like_id(str(value)) and not (folder / value).exists():
        return f"{SCHEME}{value}"
    try:
        path = Path(value).expanduser()
    except RuntimeError:  # ~somebody, whom this machine does not know
        path = Path(value)
    return os.path.normpath(folder / path)
