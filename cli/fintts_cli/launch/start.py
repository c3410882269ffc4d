"""From settings to an instance that lives on without this terminal: check, plan, begin, ask."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError, UsageProblem
from fintts_cli.estimate.forecast import reserve_of
from fintts_cli.estimate.gpus import choices_of, with_ceilings
from fintts_cli.infra.labels import labels_of
from fintts_cli.infra.this_machine import note_process
from fintts_cli.launch import resume
from fintts_cli.launch.bundle import Bundle, write_bundle
from fintts_cli.places import LOCAL
from fintts_cli.runs.clock import refuse_wrong_clock
from fintts_cli.runs.instances import instances_of
from fintts_cli.runs.journal import JournalEntry
from fintts_cli.runs.listing import look_at
from fintts_cli.runs.relaunch import NO_LAUNCH, SoFar, so_far
from fintts_cli.runs.sighted import gone, sightings_of
from fintts_cli.settings.sense import refuse_senseless
from fintts_cost.plan import Candidate, LaunchPlan, Terms, plan_launch, plan_resumption
from fintts_cost.prices import old_list
from fintts_inputs.base_model.adapter import of_other_prompt
from fintts_inputs.hang_factor import FACTOR, factor_in
from fintts_inputs.prompts import of_another_prompt, prompt_begun_with
from fintts_store import layout
from fintts_store.backend import Grant
from fintts_store.errors import LaunchTaken, StoreError
from fintts_store.opening import backend_of
from fintts_store.promise import require_promise
from fintts_store.runs.end_run import end_run
from fintts_store.runs.ledger import (
    UNKNOWN_LAPTOP,
    Asked,
    Laptop,
    read_ledger,
    take_launch,
    withdraw_launch,
    write_sighting,
)
from fintts_store.runs.runs import withdraw_revision
from fintts_templates import Rental, TaskValues, render

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from fintts_cli.infra import Infra
    from fintts_cli.launch.resume import Inputs
    from fintts_cli.runs.journal import Journal
    from fintts_cli.settings.model import Settings
    from fintts_cli.settings.read import ReadSettings
    from fintts_cli.workplace import Workplace
    from fintts_cost.extras import Extras
    from fintts_inputs.config import Change, RunConfig
    from fintts_inputs.data.files import Problem
    from fintts_store.runs.records import Result, RunRecord
    from fintts_store.store import Store


SPOT_IS_WATCHED = (
    "SkyPilot's server, on this machine unless you have one elsewhere, watches over a spot run:"
    " while it sleeps no instance is replaced that was taken away, and one whose run has ended"
    " stays for 11 minutes"
)


@dataclass(frozen=True, slots=True)
class Launch:
    """A run that was checked and planned; nothing of it exists yet, unless it is resumed."""

    run: str
    settings: Settings
    config: RunConfig
    plan: LaunchPlan
    store: Store
    bundle: Path
    asked_at: datetime
    """when the instance is asked for; until then, when it was planned"""
    resumes: RunRecord | None
    """the run of this name that goes on"""
    data_warnings: tuple[Problem, ...]
    """what looks odd in the data, and stops nothing"""
    extras: Extras
    """what the run costs beside the GPU"""
    changes: tuple[Change, ...] = ()
    """what --force changes of the run's configuration"""
    so_far: SoFar = NO_LAUNCH
    """the launches of the run before this one"""
    me: Laptop = UNKNOWN_LAPTOP
    hang_factor: float = 1.0
    """what the instance multiplies its limits of silence by"""
    prompt_note: str | None = None
    """that run or initial adapter began with another prompt than a new run gets"""
    odd: tuple[str, ...] = ()
    """settings that make little sense together"""

    @property
    def deadline_at(self) -> datetime:
        """When the trainer must have ended."""
        return self.plan.deadline_from(self.asked_at)

    @property
    def over_at(self) -> datetime:
        """When nothing of it may be billed any more, and an instance powers itself off."""
        return self.deadline_at + timedelta(seconds=float(self.plan.reserve.total_seconds))

    @property
    def where(self) -> str:
        """As a person says it."""
        settings = self.settings
        how = "spot" if settings.spot else "on-demand"
        gpus = " or ".join(each.gpus for each in self.plan.choices)
        return f"{settings.infra or 'the infra that SkyPilot chooses'}, {gpus}, {how}"

    @property
    def terms(self) -> Terms:
        """What run.json says beside the configuration."""
        return Terms(
            infra=self.settings.infra or "",
            choices=self.plan.terms,
            spot=self.settings.spot,
            budget_usd=self.plan.budget_usd,
            deadline_at=self.deadline_at,
        )

    @property
    def warnings(self) -> list[str]:
        """What the user should know before saying yes."""
        is_watched = self.settings.spot and self.settings.infra != LOCAL
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
        """The task's text. It holds no secret: it is shown, and lies beside the instance."""
        is_local = self.settings.infra == LOCAL
        envs = {
            "FINTTS_STORE": self.store.url,
            "FINTTS_RUN": self.run,
            "FINTTS_LAUNCH": str(self.so_far.number),
            "FINTTS_DEADLINE_AT": _iso(self.deadline_at),
        }
        envs |= {FACTOR: f"{self.hang_factor:g}"} if self.hang_factor != 1 else {}
        if is_local:
            envs["FINTTS_PYTHON"] = sys.executable
        else:
            envs["FINTTS_ASKED_AT"] = _iso(self.asked_at)
            envs["FINTTS_OVER_AT"] = _iso(self.over_at)
            envs |= {"FINTTS_ON_SPOT": "1"} if self.settings.spot else {}
        return render(
            TaskValues(
                run=self.run,
                workdir=str(self.bundle),
                envs=envs,
                infra=self.settings.infra,
                rentals=() if is_local else tuple(_rental(each) for each in self.plan.choices),
                image=None if is_local else self.settings.image,
                use_spot=self.settings.spot,
                labels=labels_of(self.run, self.deadline_at),
            )
        )

    def journal_entry(self) -> JournalEntry:
        """What is written down before anything is created."""
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
        """What the ledger says of it before anything is created."""
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
        """What a rented instance reaches the store with; this machine has it already.

        Args:
            reads: keys and prefixes of the store that the run reads beside its own.

        Raises:
            StoreError: there is no such key, or none that lasts until the deadline.
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
            "deadline_at": _iso(self.deadline_at),
        }


def prepare(here: Workplace, found: ReadSettings, now: datetime, *, force: bool = False) -> Launch:
    """Looks at data, model, store and earlier runs, and plans; writes nothing.

    Args:
        here: this machine.
        force: a run of this name may go on with another configuration where that is safe.

    Raises:
        CliError, CostError, InputError, StoreError: the run cannot be launched so.
    """
    settings, hang_factor = found.settings, factor_in()
    config = settings.run_config()
    shape, data_warnings = resume.check_inputs(config)
    name = settings.name or resume.make_name(config.data, now.date())
    store = here.store_of(settings)
    record = resume.existing_run(store, name)
    offered = choices_of(here, found, here.offers)
    odd = refuse_senseless(offered.cheapest.run.facts)
    choices = with_ceilings(offered.choices, found, here.offers)
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
    # Of two launches at the same time each has a bundle of its own.
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
        data_warnings,
        offered.cheapest.run.extras,
        changes,
        before,
        hang_factor=hang_factor,
        prompt_note=prompt_note,
        odd=odd,
    )


def start(here: Workplace, launch: Launch, infra: Infra, tell: Callable[[str], None]) -> Launch:
    """Uploads, writes run.json and asks for the instance. What fails or is interrupted leaves
    nothing running, and no run that never began.

    Returns the launch with the moment at which the instance was asked for, from which its deadline
    counts: neither a prompt nor an upload takes time from the run.

    Raises:
        CliError, InputError, StoreError: it could not be started.
    """
    refuse_wrong_clock(launch.store, launch.settings.infra, tell)
    require_promise(launch.store, single_writer=launch.settings.single_writer)
    here.stores.note(launch.store)
    inputs = resume.upload_inputs(launch.store, launch.config, tell, launch.resumes)
    try:
        shutil.rmtree(launch.bundle, ignore_errors=True)
        bundle = write_bundle(launch.bundle)
        me = here.laptop(make=True)
        asked = replace(launch, asked_at=datetime.now(UTC), me=me)
        _start(asked, inputs, bundle, infra, here.journal)
        return asked
    finally:  # an instance that was accepted has its own copy
        shutil.rmtree(launch.bundle, ignore_errors=True)


def _start(launch: Launch, inputs: Inputs, bundle: Bundle, infra: Infra, journal: Journal) -> None:
    grant = launch.grant(inputs.keys)
    if grant.is_for_the_run:
        url = launch.store.url
        backend_of(url).try_grant(url, launch.run, inputs.keys, grant)
    secrets = grant.variables
    if launch.resumes is not None:
        resume.refuse_other_inputs(launch.resumes, inputs)
        _go_on(launch, launch.resumes, secrets, infra, journal)
        return
    take_number(launch)
    try:
        resume.begin(
            launch.store,
            launch.run,
            launch.config,
            inputs,
            launch.terms,
            launch.asked_at,
            bundle.digest,
        )
    except BaseException:
        withdraw_launch(launch.store, launch.run, launch.so_far.number)
        raise
    try:
        _close_unrented(launch)
        ask_for_instance(launch, infra, journal, secrets)
    except BaseException:
        if not is_live(infra, launch.run):
            _give_up(launch, infra)
        raise


def _give_up(launch: Launch, infra: Infra) -> None:
    """A run of which nothing was ever rented was never there; what was up for minutes is billed,
    and the run may be launched again."""
    store, number = launch.store, launch.so_far.number
    is_billed = any(launch.asked().rates_usd.values())
    if is_billed and not _never_came(infra, launch.run):
        _note_gone(launch, infra)
        return
    store.delete(layout.run_json_key(launch.run))
    withdraw_launch(store, launch.run, number)


def _never_came(infra: Infra, run: str) -> bool:
    """Whether the infra knows for sure that there was no instance, not even for a moment."""
    state = infra.state(run)
    return state is None or state.never_came


def _note_gone(launch: Launch, infra: Infra) -> None:
    """The cloud is without it now; when one came, nobody has seen."""
    with suppress(StoreError, CloudError):  # else its end counts as the latest possible one
        at = launch.asked_at if _never_came(infra, launch.run) else datetime.now(UTC)
        seen = gone(launch.run, launch.so_far.number, at, launch.me)
        write_sighting(launch.store, seen)


def _close_unrented(launch: Launch) -> None:
    """Launches before the one that wrote the run were cut sooner, and rented nothing."""
    for before in read_ledger(launch.store, launch.run).launches:
        was_seen = before.ups or before.gones
        if before.asked and before.number < launch.so_far.number and not was_seen:
            at = before.asked.requested_at
            write_sighting(launch.store, gone(launch.run, before.number, at, launch.me))


def take_number(launch: Launch) -> None:
    """Takes the launch's number, which exactly one laptop gets, before anything is changed.

    Raises:
        UsageProblem: another laptop has it.
        StoreError: the store cannot be written.
    """
    try:
        take_launch(launch.store, launch.asked())
    except LaunchTaken as error:
        raise UsageProblem(error.message, error.hint) from None
    for seen in launch.so_far.ends:
        write_sighting(launch.store, seen)


def _go_on(
    launch: Launch,
    record: RunRecord,
    secrets: Mapping[str, str],
    infra: Infra,
    journal: Journal,
) -> None:
    store = launch.store
    take_number(launch)
    revision, ended = None, None
    try:
        revision = resume.revise(store, record, launch.config, launch.changes, launch.asked_at)
        ended = resume.go_on(store, launch.run)
        ask_for_instance(launch, infra, journal, secrets)
    except BaseException:
        if not is_live(infra, launch.run):
            _take_back(launch, infra, ended)
            if revision is not None:
                withdraw_revision(store, launch.run, revision)
        raise


def _take_back(launch: Launch, infra: Infra, ended: Result | None) -> None:
    """Nothing lives of this launch, so the run is what it was before."""
    _note_gone(launch, infra)
    if ended is not None:
        last = ended.model_copy(update={"launch": launch.so_far.number})
        end_run(launch.store, last)


def is_live(infra: Infra, run: str) -> bool:
    """Whether the run has an instance that may be billing."""
    state = infra.state(run)
    return state is not None and state.is_live


def ask_for_instance(
    launch: Launch, infra: Infra, journal: Journal, secrets: Mapping[str, str]
) -> None:
    """The task, then the journal, then the instance.

    An infra leaves nothing of a launch that fails or is interrupted; the journal then says so, or
    again what it said of an earlier instance that lives.

    Raises:
        CloudError: it could not be created, or the run has a live instance, which is left alone.
        StoreError: the journal cannot be written; nothing was created then.
        KeyboardInterrupt: nothing was left running.
    """
    task, before = launch.render(), journal.read(launch.run)
    journal.write(launch.journal_entry())
    try:
        infra.launch(launch.run, task, secrets)
    except BaseException:
        if before is not None and _has_been_live(infra, launch):
            journal.write(before)
        else:
            journal.change(launch.run, gone_at=datetime.now(UTC))
        raise
    with suppress(StoreError):  # the infra knows the moment, too
        journal.change(launch.run, created_at=datetime.now(UTC))
        _note_up(launch, infra, datetime.now(UTC))


def _has_been_live(infra: Infra, launch: Launch) -> bool:
    """Whether an instance lives that is older than this launch. Without its entry in the journal
    this launch would seem to have been cut before it rented anything, and cost nothing."""
    with suppress(CloudError):
        state = infra.state(launch.run)
        return state is not None and state.is_live and state.created_at < launch.asked_at
    return False


def _note_up(launch: Launch, infra: Infra, now: datetime) -> None:
    """`ps` does it again where the infra does not know yet."""
    with suppress(CloudError):
        state = infra.state(launch.run)
        number = launch.so_far.number
        if state is not None and state.is_live:
            for seen in sightings_of(state, launch.run, number, launch.me, now, is_exact=False):
                write_sighting(launch.store, seen)


def _rental(choice: Candidate) -> Rental:
    return Rental(choice.gpus, choice.hourly_rate_usd)


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
