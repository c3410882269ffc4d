"""What dry runs on this machine measured: one file each, named after all that affects the pace.

So no estimate uses a pace that was measured with other work.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from fintts_cli.estimate.figures import MeasuredPace
from fintts_cost.interval import Interval
from fintts_store.disk.durable import write_file
from fintts_store.disk.reading import read_limited
from fintts_store.errors import StoreError
from fintts_store.runs.fields import Moment, Seconds, Step
from fintts_store.runs.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fintts_cli.settings.model import Settings

TRAINING_KEYS = (
    "batch_size",
    "gradient_accumulation",
    "tokens_per_micro_batch",
    "bucketing",
    "precision",
    "gradient_checkpointing",
    "compile",
)
"""settings of `training` that affect the pace"""
DRY_DOUBT = 1.25
"""how far off a few steps may be, either way, since other work slows this machine down: an
assumption"""


class DryPace(Record):
    """What a dry run measured."""

    seconds_per_step: Annotated[Seconds, Field(gt=0)]
    setup_seconds: Seconds
    steps: Annotated[Step, Field(ge=1)]
    measured_at: Moment

    @property
    def source(self) -> str:
        """`a dry run of 12 steps here, 2026-11-29`"""
        return f"a dry run of {self.steps} steps here, {self.measured_at:%Y-%m-%d}"


def find_dry_pace(
    state: Path, settings: Settings, model_sizes: Mapping[str, int]
) -> MeasuredPace | None:
    """The pace of this work; None if there is no readable measurement."""
    path = _path(state, settings, model_sizes)
    try:
        pace = DryPace.load(read_limited(path), str(path))
    except (OSError, StoreError):
        return None
    likely = pace.seconds_per_step
    around = Interval(likely / DRY_DOUBT, likely, likely * DRY_DOUBT)
    return MeasuredPace(pace.source, around, None, pace.setup_seconds)


def remember_dry_pace(
    state: Path, settings: Settings, model_sizes: Mapping[str, int], pace: DryPace
) -> None:
    """Keeps it for later estimates.

    Raises:
        StoreError: the folder cannot be written.
    """
    write_file(_path(state, settings, model_sizes), pace.dump().encode())


def digest_of_work(settings: Settings, model_sizes: Mapping[str, int]) -> str:
    """Equal for two runs whose steps take equally long on one machine.

    Args:
        model_sizes: bytes of the base model's files. Models with equal names and sizes count as
            equal: the SHA-256 of gigabytes would take longer than an estimate may.
    """
    work = {
        "model": dict(model_sizes),
        "data": str(settings.data),
        "lora": settings.lora.model_dump(mode="json"),
        "training": settings.training.model_dump(mode="json", include=set(TRAINING_KEYS)),
    }
    return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()


def _path(state: Path, settings: Settings, model_sizes: Mapping[str, int]) -> Path:
    return state / "paces" / f"{digest_of_work(settings, model_sizes)}.json"
