"""The settings: the run's configuration and the laptop's."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, cast

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from fintts_cli.errors import ConfigError
from fintts_cli.places import LOCAL, canonical_infra, cloud_of
from fintts_cli.settings.gpus import canonical_gpus, split_gpus
from fintts_cli.settings.hub_model import SCHEME, HubModel, not_here, parse
from fintts_cost.amounts import exact
from fintts_cost.checks import MAX_BUDGET_USD, require_rate
from fintts_cost.errors import EstimateError
from fintts_inputs.config import RunConfig, Section, TrainingSections
from fintts_inputs.notify.urls import MOST_URLS, as_secret, checked_url
from fintts_inputs.trackers import Tracker, keys_of

Dollars = Annotated[Decimal, Field(ge=0, le=MAX_BUDGET_USD, allow_inf_nan=False)]


Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


def _rate(value: Decimal) -> Decimal:
    try:
        require_rate(EstimateError, "the rate", value)
    except EstimateError as error:
        raise ValueError(error.message) from None
    return exact(value)


def _infra(value: str) -> str:
    place = canonical_infra(value)
    if cloud_of(place) == "any":
        raise ValueError("any is not the name of a cloud; leave infra out for any cloud")
    return place


def _listed(value: object) -> object:
    """Joins a YAML list with commas, as on the command line."""
    if not isinstance(value, list):
        return value
    return ",".join(str(part) for part in cast("list[object]", value))


def _base_model(value: object) -> object:
    """Accepts `hf://OWNER/NAME@REVISION`, which a path cannot hold."""
    return parse(value) if isinstance(value, str) and value.startswith(SCHEME) else value


def _urls(value: object) -> object:
    """Accepts one URL, or several separated by spaces, as in a variable."""
    return tuple(value.split()) if isinstance(value, str) else value


def _all_checked(urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for url in urls:
        checked_url(url.get_secret_value())
    return urls


def _parts(value: object) -> object:
    """Accepts one name, or several separated by commas, as in a variable."""
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def _each_once(trackers: tuple[Tracker, ...]) -> tuple[Tracker, ...]:
    if len(set(trackers)) != len(trackers):
        raise ValueError("name each tracker once")
    return trackers


class LaunchConfig(Section):
    """Where a run goes and what it may cost; this stays on the laptop."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] | None = None
    gpus: Annotated[str, BeforeValidator(_listed), AfterValidator(canonical_gpus)] = "A100-80GB:1"
    """one or several, separated by commas, any, or 24GB+: the run takes the available one that
    makes it cheapest"""
    infra: Annotated[str, AfterValidator(_infra)] | None = None
    store: Annotated[str, Field(min_length=1)] | None = None
    s3_endpoint_url: Annotated[str, Field(min_length=1)] | None = None
    single_writer: bool = False
    """accepts a store that cannot block a second writer"""
    spot: bool = False
    image: Annotated[str, Field(min_length=1)] | None = None
    """the image of a rented instance, as in SkyPilot: `docker:NAME:TAG`, or a cloud's own id"""
    instance_role_arn: (
        Annotated[str, Field(pattern=r"^arn:[a-z-]+:iam::[0-9]{12}:role/.+$")] | None
    ) = None
    """the role from which STS makes the instance's key if this machine's key cannot"""
    launch_patience_seconds: Annotated[float, Field(ge=60, le=86_400, allow_inf_nan=False)] = 1200.0
    """how long an instance may take to become ready before it is taken back"""
    notify: Annotated[
        tuple[SecretStr, ...],
        BeforeValidator(_urls),
        AfterValidator(_all_checked),
        Field(max_length=MOST_URLS),
    ] = ()
    """URLs to which the instance posts what happens to the run; each is a secret"""
    trackers: Annotated[
        tuple[Tracker, ...], BeforeValidator(_parts), AfterValidator(_each_once)
    ] = ()
    """experiment trackers that the instance reports to, beside TensorBoard"""
    budget_usd: Annotated[Dollars, Field(gt=0)] | None = None
    hourly_rate_usd: Annotated[Dollars, AfterValidator(_rate)] | None = None

    @property
    def is_local(self) -> bool:
        """Whether the run trains on this machine, which is not rented."""
        return self.infra == LOCAL

    @property
    def rented_place(self) -> str | None:
        """The place to look for offers in; None: any."""
        return None if self.is_local else self.infra

    @property
    def first_gpus(self) -> str:
        """The GPU named first, for questions that do not depend on the choice or take one at a
        time."""
        return split_gpus(self.gpus)[0]

    @property
    def secrets(self) -> dict[str, str]:
        """The secret variables that these settings give a run."""
        urls = as_secret(url.get_secret_value() for url in self.notify)
        return {**urls, **keys_of(self.trackers)}


class ForecastConfig(Section):
    """Durations and sizes that the user knows better than the forecast."""

    seconds_per_step: Annotated[Seconds, Field(gt=0)] | None = None
    seconds_per_validation: Seconds | None = None
    setup_seconds: Seconds | None = None
    teardown_seconds: Seconds | None = None
    checkpoint_bytes: Annotated[int, Field(ge=1, le=10**15)] | None = None
    stop_step: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """the expected last step; default: training.max_steps"""


class Settings(LaunchConfig, TrainingSections):
    """The top level of the file: RunConfig's keys, LaunchConfig's, and a forecast."""

    data: Path | None = None
    base_model: Annotated[Path | HubModel, BeforeValidator(_base_model)] | None = None
    initial_adapter: Path | None = None
    forecast: ForecastConfig = Field(default_factory=ForecastConfig)

    def run_config(self) -> RunConfig:
        """The configuration of the training.

        Raises:
            ConfigError: the data folder or the base model is not set, or the model is not on this
                machine.
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
