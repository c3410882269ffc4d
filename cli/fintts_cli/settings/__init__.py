"""What the user set: the run's configuration and the laptop's, with each value's origin.

Precedence: option > FINTTS_* variable > project file > user file > default. The sources are read
by hand: pydantic-settings alone takes 0.1 s to import, and `fintts estimate` has 0.3 s in all.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from platformdirs import user_config_path
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from fintts_cli.errors import ConfigError, refuse_empty
from fintts_cli.hub import SCHEME, HubModel, not_here, parse
from fintts_cli.settings.kinds import Kind, Misread, Taken, taken_by, taken_for
from fintts_cli.settings.sources import (
    Layer,
    find_project_file,
    from_environment,
    from_file,
    from_options,
)
from fintts_cli.settings.yaml_slips import cut
from fintts_cost.accelerators import Accelerator, find
from fintts_cost.checks import MAX_BUDGET_USD, exact, require_rate
from fintts_cost.errors import EstimateError
from fintts_inputs.config import (
    CheckpointConfig,
    EarlyStoppingConfig,
    LoraConfig,
    RunConfig,
    Section,
    TrainingConfig,
    ValidationConfig,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

MAX_GPUS = 64

Dollars = Annotated[Decimal, Field(ge=0, le=MAX_BUDGET_USD, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


def _rate(value: Decimal) -> Decimal:
    try:
        require_rate(EstimateError, "the rate", value)
    except EstimateError as error:
        raise ValueError(error.message) from None
    return exact(value)


def parse_gpus(text: str) -> tuple[Accelerator, int]:
    """`A100-80GB:2` → the accelerator and how many.

    Raises:
        UnknownAccelerator: there is no such one.
        ValueError: the number is none.
    """
    name, _, number = text.partition(":")
    count = int(number) if number.isascii() and number.isdigit() else 0 if number else 1
    if not 1 <= count <= MAX_GPUS:
        raise ValueError(f"the number of GPUs is 1 to {MAX_GPUS}, as in A100-80GB:1")
    return find(name), count


def split_gpus(text: str) -> tuple[str, ...]:
    """`A100-80GB:1,H100:1` → one of each that may be rented."""
    return tuple(part.strip() for part in text.split(","))


def _gpus(text: str) -> str:
    """As SkyPilot writes it: h100 → H100:1; of several the order stays, and each is once there."""
    parts = split_gpus(text)
    if not all(parts):
        raise ValueError("a GPU's name is missing beside a comma")
    found = [parse_gpus(part) for part in parts]
    return ",".join(dict.fromkeys(f"{accelerator.name}:{count}" for accelerator, count in found))


def _listed(value: object) -> object:
    """A list in YAML is what commas are on the command line."""
    if not isinstance(value, list):
        return value
    return ",".join(str(part) for part in cast("list[object]", value))


def _base_model(value: object) -> object:
    """`hf://OWNER/NAME@REVISION`, which a path cannot hold."""
    return parse(value) if isinstance(value, str) and value.startswith(SCHEME) else value


class LaunchConfig(Section):
    """Where a run goes and what it may cost; it stays on the laptop."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] | None = None
    gpus: Annotated[str, BeforeValidator(_listed), AfterValidator(_gpus)] = "A100-80GB:1"
    """one, or several separated by commas: the run takes the one on which it costs least, and of
    the others what is to be had"""
    infra: Annotated[str, Field(min_length=1)] | None = None
    store: Annotated[str, Field(min_length=1)] | None = None
    s3_endpoint_url: Annotated[str, Field(min_length=1)] | None = None
    single_writer: bool = False
    """uses a store that cannot keep two writers apart"""
    spot: bool = False
    image: Annotated[str, Field(min_length=1)] | None = None
    """of a rented instance, in SkyPilot's words: `docker:NAME:TAG`, or a cloud's own id"""
    instance_role_arn: (
        Annotated[str, Field(pattern=r"^arn:[a-z-]+:iam::[0-9]{12}:role/.+$")] | None
    ) = None
    """by which STS makes the instance's key where the key of this machine cannot"""
    budget_usd: Annotated[Dollars, Field(gt=0)] | None = None
    hourly_rate_usd: Annotated[Dollars, AfterValidator(_rate)] | None = None

    @property
    def first_gpus(self) -> str:
        """Of several the one that is named first: for what does not depend on it, or is asked of
        one at a time."""
        return split_gpus(self.gpus)[0]


class ForecastConfig(Section):
    """Durations and sizes known better than the program can forecast them."""

    seconds_per_step: Annotated[Seconds, Field(gt=0)] | None = None
    seconds_per_validation: Seconds | None = None
    setup_seconds: Seconds | None = None
    teardown_seconds: Seconds | None = None
    checkpoint_bytes: Annotated[int, Field(ge=1, le=10**15)] | None = None
    stop_step: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """where the run is expected to stop; without it at training.max_steps"""


class Settings(LaunchConfig):
    """The file's top level: RunConfig's keys, LaunchConfig's, and a forecast."""

    data: Path | None = None
    base_model: Annotated[Path | HubModel, BeforeValidator(_base_model)] | None = None
    initial_adapter: Path | None = None
    lora: LoraConfig = LoraConfig()
    training: TrainingConfig = TrainingConfig()
    validation: ValidationConfig = ValidationConfig()
    early_stopping: EarlyStoppingConfig = EarlyStoppingConfig()
    checkpoints: CheckpointConfig = CheckpointConfig()
    forecast: ForecastConfig = ForecastConfig()

    def run_config(self) -> RunConfig:
        """What is trained.

        Raises:
            ConfigError: the data folder or the base model's is not set, or the model is not here.
        """
        if isinstance(self.base_model, HubModel):
            raise not_here(self.base_model)
        missing = [key for key in ("data", "base_model") if getattr(self, key) is None]
        if missing:
            raise ConfigError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
                "`fintts init --data DIR --base-model DIR` writes a configuration",
            )
        return RunConfig.model_validate(
            {name: getattr(self, name) for name in RunConfig.model_fields}
        )


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """The settings, what to warn of, and the project file that was read."""

    settings: Settings
    warnings: list[str]
    project_file: Path | None
    origins: dict[str, str] = field(default_factory=dict[str, str])


@cache
def known_keys() -> Mapping[str, Taken]:
    """Every dotted key, and what it takes."""
    keys: dict[str, Taken] = {}
    for name, info in Settings.model_fields.items():
        section = info.annotation
        if isinstance(section, type) and issubclass(section, Section):
            for inner, inner_info in section.model_fields.items():
                keys[f"{name}.{inner}"] = taken_by(cast("object", inner_info.annotation))
        else:
            keys[name] = taken_by(cast("object", section))
    return keys | {"gpus": Taken(Kind.TEXTS)}


def read_settings(
    options: Mapping[str, object],
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> ReadSettings:
    """Reads every source and validates what they say together.

    Args:
        options: dotted key → value, None where the option was not typed.
        config: the project file; without it FINTTS_CONFIG, else fintts.yaml found upwards.
        environment: os.environ when None.
        folder: where the command runs; the current folder when None.

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
        warnings.append(f"{project_file} sets nothing: every setting is its default")
    layers = [
        from_file(user_file, keys) if user_file else {},
        in_project,
        from_variables,
        from_options(options, folder),
    ]
    merged: Layer = {}
    for layer in layers:
        merged |= layer
    origins = {key: given.origin for key, given in merged.items()}
    return ReadSettings(_validated(_as_taken(merged, keys)), warnings, project_file, origins)


def _user_file() -> Path | None:
    """The user's own file, if there is one."""
    try:
        path = user_config_path("fintts") / "config.yaml"
    except RuntimeError:  # without a home folder there is none
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
    """The same, each value as its key takes it.

    Raises:
        ConfigError: one of them is something else; all such are named.
    """
    read = {key: taken_for(keys[key], given) for key, given in layer.items()}
    misread = {key: value for key, value in read.items() if isinstance(value, Misread)}
    if misread:
        sentences = [
            f"{key} takes {keys[key].kind.value}, but {one.sentence} ({layer[key].origin})"
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
    details = error.errors()
    hints = [hint for detail in details if (hint := _cause_hint(detail))]
    hint = hints[0] if hints else "`fintts init` writes a file that says what each key takes"
    return ConfigError("; ".join(_sentence(detail, layer) for detail in details), hint)


def _sentence(detail: ErrorDetails, layer: Layer) -> str:
    """`training.batch_size should be greater than or equal to 1, but is 0 (fintts.yaml:7)`"""
    key = _dotted(detail, layer)
    message = re.sub(r"^[\w ]+ (?=should )", "", detail["msg"].removeprefix("Value error, "))
    if detail["type"] == "path_type":  # pydantic names Python's class
        message = "should be a path"
    given = layer.get(key)
    if detail["type"] == "value_error":
        return f"{key}: {message}" + (f" ({given.origin})" if given else "")
    if given is None:
        return f"{key} {message}"
    return f"{key} {message}, but is {cut(str(given.value))} ({given.origin})"


def _dotted(detail: ErrorDetails, layer: Layer) -> str:
    """The longest part of the error's place that is a key: what follows are list positions."""
    parts = [str(part) for part in detail["loc"]]
    prefixes = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((prefix for prefix in prefixes if prefix in layer), prefixes[0])


def _cause_hint(detail: ErrorDetails) -> str:
    """A hint that came with the error which a validator raised."""
    cause: object = detail.get("ctx", {}).get("error")
    return str(getattr(cause, "hint", ""))
