"""Which key of fintts.yaml an option sets, and the name of a value by where it was set."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from fintts_cli.settings.given import OPTION
from fintts_cost.errors import CostError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from fintts_cli.settings.read import ReadSettings

KEYS = {
    "batch_size": "training.batch_size",
    "gradient_accumulation": "training.gradient_accumulation",
    "max_steps": "training.max_steps",
    "validation_every": "validation.every",
    "checkpoint_every": "checkpoints.every",
    "keep_last": "checkpoints.keep_last",
    "patience": "early_stopping.patience",
    "steps": "forecast.stop_step",
    "seconds_per_step": "forecast.seconds_per_step",
    "seconds_per_validation": "forecast.seconds_per_validation",
    "checkpoint_bytes": "forecast.checkpoint_bytes",
    "setup_seconds": "forecast.setup_seconds",
    "teardown_seconds": "forecast.teardown_seconds",
    "hourly_rate_usd": "hourly_rate_usd",
}
"""Parameter of a command → its key in fintts.yaml, where the two names differ."""


DEFAULT = "default"
"""the origin of a value that is not set"""


def names_of(found: ReadSettings) -> dict[str, str]:
    """Option → its key and origin, for each value that was not typed for this command."""
    origins = {name: found.origins.get(key, DEFAULT) for name, key in KEYS.items()}
    return {
        f"--{name.removesuffix('_usd').replace('_', '-')}": f"{KEYS[name]} ({origin})"
        for name, origin in origins.items()
        if origin != OPTION
    }


@contextmanager
def naming_origins(found: ReadSettings) -> Generator[None]:
    """Errors in the numbers of a run name the place where a number was set."""
    try:
        yield
    except CostError as error:
        raise error.renamed(names_of(found)) from None


def keyed(options: Mapping[str, object]) -> dict[str, object]:
    """The same values under their keys in fintts.yaml; other names stay as they are."""
    return {KEYS.get(name, name): value for name, value in options.items()}
