"""Reads the settings, each with its origin.

Precedence: option > FINTTS_* variable > project file > user file > default. The sources are read by
hand: importing pydantic-settings alone takes 0.1 s, and `fintts estimate` has 0.3 s in all.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from platformdirs import user_config_path
from pydantic import ValidationError

from fintts_cli.errors import ConfigError, refuse_empty
from fintts_cli.settings.kinds import Kind, Misread, Taken, taken_by, taken_for
from fintts_cli.settings.sources import find_project_file, from_environment, from_file, from_options
from fintts_cli.settings.yaml_slips import cut
from fintts_inputs.config import (
    Section,
)
from fintts_inputs.notify.urls import keep_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

    from fintts_cli.settings.given import Layer
from fintts_cli.settings.model import Settings

SHAPES = {
    "name": "should be 1 to 40 of the characters a to z, 0 to 9 and -",
    "instance_role_arn": "should be the ARN of a role",
    "eval.language": "should be a language code of two or three letters",
}
"""Key with a pattern → the pattern in words"""
KEY_HINTS = {
    "name": "use a name such as kalevala-2, or leave it out to get one",
    "budget_usd": "give an amount in dollars, such as 7.50, or leave it out for no limit",
    "infra": "give local, or CLOUD[/REGION[/ZONE]] such as aws/us-east-1, or leave it out to "
    "let SkyPilot choose",
    "instance_role_arn": "write it as arn:aws:iam::ACCOUNT:role/NAME",
    "eval.language": "give one such as fi or en",
}
"""Key → what to write"""


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """The settings, their warnings, and the project file."""

    settings: Settings
    warnings: list[str]
    project_file: Path | None
    origins: dict[str, str] = field(default_factory=dict[str, str])


@cache
def known_keys() -> Mapping[str, Taken]:
    """Every dotted key, and the values it takes."""
    keys: dict[str, Taken] = {}
    for name, info in Settings.model_fields.items():
        section = info.annotation
        if isinstance(section, type) and issubclass(section, Section):
            for inner, inner_info in section.model_fields.items():
                keys[f"{name}.{inner}"] = taken_by(cast("object", inner_info.annotation))
        else:
            keys[name] = taken_by(cast("object", section))
    return keys | {
        "gpus": Taken(Kind.TEXTS),
        "notify": Taken(Kind.TEXTS),
        "trackers": Taken(Kind.TEXTS),
    }


def read_settings(
    options: Mapping[str, object],
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> ReadSettings:
    """Reads every source and validates the merged settings.

    Args:
        options: dotted key → value; None if the option was not given.
        config: the project file; default: FINTTS_CONFIG, else the nearest fintts.yaml, from the
            folder upwards.
        environment: None means os.environ.
        folder: where the command runs; None means the current folder.

    Raises:
        ConfigError: a source cannot be read, or a value is unknown or out of range.
    """
    environment = os.environ if environment is None else environment
    folder = Path.cwd() if folder is None else folder
    keys = known_keys()
    project_file = _project_file(config, environment, folder)
    user_file = _user_file()
    from_variables, warnings = from_environment(environment, keys, folder)
    in_project = from_file(project_file, keys) if project_file else {}
    if project_file and not in_project:
        warnings.append(f"{project_file} sets nothing, so every setting has its default")
    layers = [
        from_file(user_file, keys) if user_file else {},
        in_project,
        from_variables,
        from_options(options, folder),
    ]
    merged: Layer = {}
    for layer in layers:
        keep_secret(_urls_in(layer))  # before anything in it is refused with its text
        merged |= layer
    origins = {key: given.origin for key, given in merged.items()}
    return ReadSettings(_validated(_as_taken(merged, keys)), warnings, project_file, origins)


def _urls_in(layer: Layer) -> list[str]:
    """The URLs to keep secret, in any form that a source may give them."""
    given = layer.get("notify")
    if given is None:
        return []
    is_list = isinstance(given.value, list)
    parts = cast("list[object]", given.value) if is_list else [given.value, given.written]
    return [url for part in parts for url in str(part).split()]


def _user_file() -> Path | None:
    """The user's own settings file, if it exists."""
    try:
        path = user_config_path("fintts") / "config.yaml"
    except RuntimeError:  # there is no home folder
        return None
    return path if path.is_absolute() and path.is_file() else None


def _project_file(config: Path | None, environment: Mapping[str, str], folder: Path) -> Path | None:
    if config is not None:
        return folder / config
    if (named := environment.get("FINTTS_CONFIG")) is not None:
        refuse_empty("FINTTS_CONFIG", named)
        return folder / named
    return find_project_file(folder)


def _as_taken(layer: Layer, keys: Mapping[str, Taken]) -> Layer:
    """The layer with each value as its key takes it.

    Raises:
        ConfigError: values are of the wrong kind; it names all of them.
    """
    read = {key: taken_for(keys[key], given) for key, given in layer.items()}
    misread = {key: value for key, value in read.items() if isinstance(value, Misread)}
    if misread:
        sentences = [
            f"{key} takes {keys[key].in_words}, but {one.sentence} ({layer[key].origin})"
            for key, one in misread.items()
        ]
        raise ConfigError("; ".join(sentences), next(iter(misread.values())).hint)
    return {key: given._replace(value=read[key]) for key, given in layer.items()}


def _validated(layer: Layer) -> Settings:
    content: dict[str, object] = {}
    sections: dict[str, dict[str, object]] = {}
    for key, given in layer.items():
        section, _, name = key.rpartition(".")
        (sections.setdefault(section, {}) if section else content)[name] = given.value
    try:
        return Settings.model_validate(content | sections)
    except ValidationError as error:
        raise _invalid(error, layer) from None


def _invalid(error: ValidationError, layer: Layer) -> ConfigError:
    details = [each for each in error.errors() if not _follows(each, error.errors())]
    hints = [hint for detail in details if (hint := _cause_hint(detail))]
    of_keys = [KEY_HINTS[key] for each in details if (key := _dotted(each, layer)) in KEY_HINTS]
    hint = next(iter(hints + of_keys), "`fintts init` writes a file that explains every key")
    return ConfigError("; ".join(_sentence(detail, layer) for detail in details), hint)


def _follows(detail: ErrorDetails, others: list[ErrorDetails]) -> bool:
    """Whether this error concerns a list that has another error already; such an error is left
    out."""
    loc = detail["loc"]
    return any(len(one["loc"]) > len(loc) and one["loc"][: len(loc)] == loc for one in others)


def _sentence(detail: ErrorDetails, layer: Layer) -> str:
    """`training.batch_size should be greater than or equal to 1, but is 0 (fintts.yaml:7)`"""
    key = _dotted(detail, layer)
    message = re.sub(r"^[\w ]+ (?=should )", "", detail["msg"].removeprefix("Value error, "))
    if detail["type"] == "path_type":  # pydantic's message names Python's class
        message = "should be a path"
    if detail["type"] == "string_pattern_mismatch":
        message = SHAPES[key]
    given = layer.get(key)
    if detail["type"] == "value_error":
        return f"{key}: {message}" + (f" ({given.origin})" if given else "")
    if given is None:
        return f"{key} {message}"
    return f"{key} {message}, but is {cut(str(given.value))} ({given.origin})"


def _dotted(detail: ErrorDetails, layer: Layer) -> str:
    """The longest prefix of the error's location that is a key; list positions follow it."""
    parts = [str(part) for part in detail["loc"]]
    prefixes = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((prefix for prefix in prefixes if prefix in layer), prefixes[0])


def _cause_hint(detail: ErrorDetails) -> str:
    """The hint of the error that a validator raised."""
    cause: object = detail.get("ctx", {}).get("error")
    return str(getattr(cause, "hint", ""))
