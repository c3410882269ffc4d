"""A launch: a run that was checked and planned, before its instance is requested."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from fintts_cli.runs.earlier_launches import NO_LAUNCH, SoFar
from fintts_cost.plan.sentences import warnings_of
from fintts_cost.prices.age import old_list
from fintts_store.runs.laptop import UNKNOWN_LAPTOP, Laptop

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from fintts_cli.launch.upload import CheckedInputs
    from fintts_cli.settings.model import Settings
    from fintts_cost.estimate.extras import Extras
    from fintts_cost.plan.launch import LaunchPlan
    from fintts_inputs.config import RunConfig
    from fintts_inputs.config_changes import Change
    from fintts_store.runs.run_record import RunRecord
    from fintts_store.store import Store

SPOT_IS_WATCHED = (
    "a spot run needs SkyPilot's server, which is on this machine unless you have one "
    "elsewhere: while it sleeps, a lost instance is not replaced, and an instance whose run has "
    "ended stays for 11 minutes"
)


@dataclass(frozen=True, slots=True)
class Launch:
    """A run that was checked and planned; nothing of it exists yet unless it is resumed."""

    run: str
    settings: Settings
    config: RunConfig
    plan: LaunchPlan
    store: Store
    bundle: Path
    asked_at: datetime
    """when the instance is requested; before that, when it was planned"""
    resumes: RunRecord | None
    """the run of this name to resume"""
    inputs: CheckedInputs
    """data, base model and adapter, as they are on this machine"""
    extras: Extras
    """costs besides the GPU"""
    changes: tuple[Change, ...] = ()
    """what --force changes in the run's configuration"""
    so_far: SoFar = NO_LAUNCH
    """the launches of the run before this one"""
    me: Laptop = UNKNOWN_LAPTOP
    hang_factor: float = 1.0
    """the factor by which the instance stretches its limits of silence"""
    prompt_note: str | None = None
    """says that run or initial adapter started with another prompt than a new run gets"""
    odd: tuple[str, ...] = ()
    """warnings about settings that make little sense together"""
    is_by_sky: bool = True
    """whether SkyPilot rents the instance"""

    @property
    def deadline_at(self) -> datetime:
        """When the trainer must have ended."""
        return self.plan.deadline_from(self.asked_at)

    @property
    def over_at(self) -> datetime:
        """When billing must have ended, and an instance powers itself off."""
        return self.deadline_at + timedelta(seconds=float(self.plan.reserve.total_seconds))

    @property
    def where(self) -> str:
        """The place, for people."""
        settings = self.settings
        how = "spot" if settings.spot else "on-demand"
        gpus = " or ".join(each.gpus for each in self.plan.choices)
        return f"{settings.infra or 'the infra that SkyPilot chooses'}, {gpus}, {how}"

    @property
    def warnings(self) -> list[str]:
        """The warnings that the user should see before agreeing."""
        is_watched = self.settings.spot and self.is_by_sky
        today = self.asked_at.date()
        old = (old_list(each.price.as_of, today) for each in self.plan.choices)
        return [
            *self.so_far.damaged,
            *([self.prompt_note] if self.prompt_note else []),
            *self.odd,
            *warnings_of(self.plan),
            *dict.fromkeys(sentence for sentence in old if sentence),
            *([SPOT_IS_WATCHED] if is_watched else []),
        ]
