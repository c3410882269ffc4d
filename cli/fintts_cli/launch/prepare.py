"""A launch before its request: checked and planned, with its task and its records."""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fintts_cli.estimate.forecast import reserve_of, stop_note
from fintts_cli.estimate.gpus import choices_of, with_ceilings
from fintts_cli.estimate.run_inputs import RunInputs
from fintts_cli.infra.labels import labels_of
from fintts_cli.infra.sky.ending import AUTODOWN, ending_of
from fintts_cli.infra.this_machine import note_process
from fintts_cli.launch import record as run_record
from fintts_cli.launch import resume, upload
from fintts_cli.places import LOCAL
from fintts_cli.prices.places import doubtful_place
from fintts_cli.runs.earlier_launches import NO_LAUNCH, SoFar, so_far
from fintts_cli.runs.instances.requested import instances_of
from fintts_cli.runs.journal import JournalEntry
from fintts_cli.runs.status.listing import look_at
from fintts_cli.settings.cross_checks import refuse_senseless
from fintts_cli.wording import iso_second
from fintts_cost.candidate import Candidate, Terms
from fintts_cost.plan import LaunchPlan, plan_launch, plan_resumption
from fintts_cost.prices import old_list
from fintts_inputs.base_model.adapter import of_other_prompt
from fintts_inputs.hang_factor import FACTOR, factor_in
from fintts_inputs.prompts import of_another_prompt, prompt_begun_with
from fintts_store.backend import Grant
from fintts_store.opening import backend_of
from fintts_store.runs.laptop import UNKNOWN_LAPTOP, Laptop
from fintts_store.runs.ledger import Asked, read_ledger
from fintts_templates import Rental, TaskValues, render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fintts_cli.settings.model import Settings
    from fintts_cli.settings.read import ReadSettings
    from fintts_cli.workplace import Workplace
    from fintts_cost.extras import Extras
    from fintts_inputs.config import Change, RunConfig
    from fintts_store.runs.records import RunRecord
    from fintts_store.store import Store


SPOT_IS_WATCHED = (
    "SkyPilot's server, on this machine unless you have one elsewhere, watches over a spot run:"
    " while it sleeps no instance is replaced that was taken away, and one whose run has ended"
    " stays for 11 minutes"
)
SPOT_IDLE_MINUTES = 12
"""A spot instance that ended itself sooner would seem to be preempted: SkyPilot's controller
removes it after the job, within eleven minutes."""


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
    inputs: upload.CheckedInputs
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
    def terms(self) -> Terms:
        """What run.json holds besides the configuration."""
        return Terms(
            infra=self.settings.infra or "",
            gpus=self.plan.first.gpus,
            price=self.plan.first.price,
            estimate=self.plan.estimate,
            alternatives=self.plan.choices[1:],
            spot=self.settings.spot,
            budget_usd=self.plan.budget_usd,
            deadline_at=self.deadline_at,
        )

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
            *self.plan.warnings,
            *dict.fromkeys(sentence for sentence in old if sentence),
            *([SPOT_IS_WATCHED] if is_watched else []),
        ]

    def render(self) -> str:
        """The task's text. It holds no secret: the user sees it, and it is stored next to the
        instance."""
        is_local = self.settings.infra == LOCAL
        envs = {
            "FINTTS_STORE": self.store.url,
            "FINTTS_RUN": self.run,
            "FINTTS_LAUNCH": str(self.so_far.number),
            "FINTTS_DEADLINE_AT": iso_second(self.deadline_at),
        }
        envs |= {FACTOR: f"{self.hang_factor:g}"} if self.hang_factor != 1 else {}
        if is_local:
            envs["FINTTS_PYTHON"] = sys.executable
        else:
            envs["FINTTS_ASKED_AT"] = iso_second(self.asked_at)
            envs["FINTTS_OVER_AT"] = iso_second(self.over_at)
            envs |= {"FINTTS_ON_SPOT": "1"} if self.settings.spot else {}
        ending = AUTODOWN if is_local else ending_of(self.settings.infra)
        is_spot_pod = self.settings.spot and ending.arming is not None
        return render(
            TaskValues(
                run=self.run,
                workdir=str(self.bundle),
                envs=envs,
                infra=self.settings.infra,
                rentals=() if is_local else tuple(_rental(each) for each in self.plan.choices),
                image=None if is_local else self.settings.image,
                use_spot=self.settings.spot,
                idle_minutes=SPOT_IDLE_MINUTES if is_spot_pod else 1,
                arming=ending.arming,
                files=ending.files,
                labels=labels_of(self.run, self.deadline_at),
            )
        )

    def journal_entry(self) -> JournalEntry:
        """The journal's entry, written before anything is created."""
        return JournalEntry(
            run=self.run,
            infra=self.settings.infra or "",
            store=self.store.url,
            requested_at=self.asked_at,
            deadline_at=self.deadline_at,
            rates_usd={each.gpus: each.ceiling_usd for each in self.plan.choices},
            launch=self.so_far.number,
            pid=os.getpid(),
            asked_by=note_process(os.getpid()),
        )

    def asked(self) -> Asked:
        """The ledger's record of the request, written before anything is created."""
        is_local = self.settings.infra == LOCAL
        reserve = self.plan.reserve
        return Asked(
            run=self.run,
            launch=self.so_far.number,
            asker=self.me,
            requested_at=self.asked_at,
            infra=self.settings.infra or "",
            rates_usd={each.gpus: each.ceiling_usd for each in self.plan.choices},
            spot=self.settings.spot and not is_local,
            deadline_at=self.deadline_at,
            reserve_seconds=float(reserve.total_seconds),
            teardown_seconds=0.0 if is_local else float(reserve.after_last_word_seconds),
            earlier=self.so_far.earlier,
            pid=os.getpid(),
            asked_by=note_process(os.getpid()),
        )

    def grant(self, reads: Sequence[str] = ()) -> Grant:
        """A rented instance's access to the store; this machine has its own.

        Args:
            reads: keys and prefixes in the store that the run reads in addition to its own.

        Raises:
            StoreError: no such key can be made, or none that lasts until the deadline.
        """
        if self.settings.infra == LOCAL:
            return Grant({})
        url, role = self.store.url, self.settings.instance_role_arn or ""
        return backend_of(url).grant(url, self.run, reads, self.deadline_at, role)

    def to_json(self) -> dict[str, object]:
        """The document of `fintts cloud launch --json`."""
        plan = self.plan
        return {
            "run": self.run,
            "infra": self.settings.infra,
            "store": self.store.url,
            "estimated_cost_usd": float(plan.estimate.expected.cost_usd_to_cent),
            "budget_usd": None if plan.budget_usd is None else float(plan.budget_usd),
            "deadline_at": iso_second(self.deadline_at),
        }


def prepare(here: Workplace, found: ReadSettings, now: datetime, *, force: bool = False) -> Launch:
    """Checks data, model, store and earlier runs, and plans; writes nothing.

    Args:
        here: this machine.
        force: allows a run of this name to resume with another configuration if that is safe.

    Raises:
        CliError, CostError, InputError, StoreError: the run cannot be launched like this.
    """
    settings, hang_factor = found.settings, factor_in()
    config = settings.run_config()
    checked = upload.check_inputs(config)
    shape = checked.base_model.shape
    name = settings.name or run_record.make_name(config.data, now.date())
    store = here.store_of(settings)
    record = run_record.existing_run(store, name)
    offered = choices_of(here, found, here.offers, RunInputs.of(settings, checked=checked))
    odd = (
        *refuse_senseless(offered.cheapest.facts),
        *stop_note(settings, found.origins),
        *(doubtful_place(settings) if here.is_by_sky(settings.infra) else ()),
    )
    choices = with_ceilings(offered.candidates, found, here.offers)
    changes: tuple[Change, ...] = ()
    prompt_note: str | None = None
    reserve = reserve_of(settings)
    if record is None:
        if config.initial_adapter is not None and config.initial_adapter.is_dir():
            prompt_note = of_other_prompt(config.initial_adapter, shape.prompt, shape.prompts)
        plan = plan_launch(choices, settings.budget_usd, reserve)
        before = SoFar(read_ledger(store, name).next_number)
    else:
        changes = resume.refuse_changes(store, record, config, force=force)
        begun = prompt_begun_with(record.prompt, shape.prompts)
        prompt_note = of_another_prompt(begun, shape.prompt)
        view = look_at(store, name, instances_of(here), now)
        resume.refuse_live(view)
        before = so_far(view)
        spent, done = before.spent_usd, view.step or 0
        plan = plan_resumption(choices, settings.budget_usd, spent, reserve, done)
    plan = replace(plan, left_out=(*offered.missing, *plan.left_out))
    # Each of two simultaneous launches has its own bundle.
    bundle = here.state / "bundles" / f"{name}-{secrets.token_hex(4)}"
    return Launch(
        name,
        settings,
        config,
        plan,
        store,
        bundle,
        now,
        record,
        checked,
        offered.cheapest.extras,
        changes,
        before,
        hang_factor=hang_factor,
        prompt_note=prompt_note,
        odd=odd,
        is_by_sky=here.is_by_sky(settings.infra),
    )


def _rental(choice: Candidate) -> Rental:
    return Rental(choice.gpus, choice.hourly_rate_usd)
