"""The curves of benchmarks/forecast.py: simulated ones, recorded ones, and those of a file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from fintts_cost.training.early_stopping import EarlyStopping, Progress  # noqa: E402
from fintts_trainer.forecast.stop import Cadence  # noqa: E402
from simulated_curves import simulate_many  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EVERY = 100
"""steps between two checks of a simulated curve"""
RECORDED = ROOT / "benchmarks" / "curves"
MOST_STEPS = 10**12

Steps = Annotated[int, Field(ge=1, le=MOST_STEPS)]


class Curve(BaseModel):
    """One element of FILE; other keys are ignored."""

    id: str | int | float
    values: list[float | None]
    every: Steps
    max_steps: Steps
    patience: Steps = 5
    min_delta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    mode: Literal["min", "max"] = "min"


CURVES = TypeAdapter(list[Curve])


class BadFile(Exception):
    """Why FILE holds no curves, as a sentence."""


@dataclass(frozen=True)
class Case:
    """A curve and the rule of its run."""

    id: str | int | float
    values: Sequence[float]
    every: int
    max_steps: int
    rule: EarlyStopping
    group: str = ""

    @classmethod
    def of(cls, curve: Curve, group: str = "") -> Case:
        """What is missing, as null, is not a number."""
        rule = EarlyStopping(curve.mode, curve.patience, curve.min_delta)
        values = [float("nan") if value is None else value for value in curve.values]
        return cls(curve.id, values, curve.every, curve.max_steps, rule, group)

    def progress(self, checks: int) -> Progress | None:
        """The rule's state after that many checks; None if the run had ended by then."""
        progress = self.rule.start()
        if checks > len(self.values) or checks * self.every >= self.max_steps:
            return None
        for check in range(1, checks + 1):
            progress = self.rule.check(progress, check * self.every, self.values[check - 1])
            if self.rule.should_stop(progress):
                return None
        return progress

    @property
    def end_step(self) -> int:
        """Where the run ended."""
        progress = self.rule.start()
        for check, value in enumerate(self.values[: self.max_steps // self.every], 1):
            progress = self.rule.check(progress, check * self.every, value)
            if self.rule.should_stop(progress):
                return check * self.every
        return self.max_steps

    def seen(self, checks: int) -> list[float]:
        """The values of the first checks."""
        return list(self.values[:checks])

    def cadence(self, checks: int) -> Cadence:
        """The run's position after that many checks."""
        return Cadence(checks * self.every, self.every, self.max_steps)


def cases_in(file: Path, group: str = "") -> list[Case]:
    """Raises BadFile."""
    try:
        return [Case.of(each, group) for each in CURVES.validate_json(file.read_bytes())]
    except OSError as error:
        raise BadFile(f"cannot read {file}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = "".join(f"[{part!r}]" for part in first["loc"])
        raise BadFile(f"{file}{place}: {first['msg']}") from None


def simulated(families: Iterable[str], count: int, length: int, seed: int) -> list[Case]:
    """Simulated curves, with patience 5."""
    curves = simulate_many(tuple(families), count, length, seed)
    return [
        Case(
            f"{curve.family} {number}",
            curve.values.tolist(),
            EVERY,
            EVERY * length,
            EarlyStopping(),
            curve.family,
        )
        for number, curve in enumerate(curves)
    ]


def recorded() -> list[Case]:
    """The runs in benchmarks/curves/."""
    return [case for file in sorted(RECORDED.glob("*.json")) for case in cases_in(file, "recorded")]
