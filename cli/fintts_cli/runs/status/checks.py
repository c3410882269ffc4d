"""What early stopping watches, and the values of a run's metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pydantic import ValidationError

from fintts_inputs.config import MEASURED_BY, EarlyStoppingConfig, Section
from fintts_store.runs.limits import VALUE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fintts_inputs.config import Monitor
    from fintts_store.runs.records import MetricRow
    from fintts_store.runs.run_record import RunRecord

Points = tuple[tuple[int, float], ...]
"""(step, value), in the order of the steps"""

AnySection = TypeVar("AnySection", bound=Section)


class Place(NamedTuple):
    """Where the value of a monitor is: the kind of a row of metrics, and its name in it."""

    kind: str
    name: str


PLACE_OF = {
    "val/loss": Place("validation", "loss"),
    "val/top5_accuracy": Place("validation", "top5_accuracy"),
    "train/loss": Place("validation", "train_loss"),
    **{monitor: Place("eval", monitor.removeprefix("eval/")) for monitor in MEASURED_BY},
}


def stopping_config(record: RunRecord) -> EarlyStoppingConfig:
    """The run's early-stopping section."""
    return section_of(record, "early_stopping", EarlyStoppingConfig)


def section_of(record: RunRecord, name: str, kind: type[AnySection]) -> AnySection:
    """A section of the run's configuration; the defaults if it cannot be read, as another version
    may have written it."""
    try:
        return kind.model_validate(record.config.get(name) or {})
    except ValidationError:
        return kind()


def monitor_of(record: RunRecord) -> Monitor:
    """What early stopping watches, or would watch."""
    return stopping_config(record).monitor


def points_of(rows: Iterable[MetricRow], kind: str, name: str) -> Points:
    """The values of one name; one that is not finite, or huge, is left out."""
    return tuple(
        (row.step, value)
        for row in rows
        if row.kind == kind and abs(value := row.values.get(name, float("nan"))) <= VALUE
    )
