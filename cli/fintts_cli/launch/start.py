"""Turns a prepared launch into an instance that lives on without this terminal."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError, UsageProblem
from fintts_cli.launch import record as run_record
from fintts_cli.launch import resume, upload
from fintts_cli.launch.access import grant_for
from fintts_cli.launch.bundle import Bundle, write_bundle
from fintts_cli.launch.entries import journal_entry, ledger_entry, terms_of
from fintts_cli.launch.task import render_task
from fintts_cli.runs.clock import refuse_wrong_clock
from fintts_cli.runs.instances.sightings import gone, sightings_of
from fintts_cli.views.units import counted
from fintts_store import layout
from fintts_store.errors import LaunchTaken, StoreError
from fintts_store.opening import backend_of
from fintts_store.probes.promise import require_promise
from fintts_store.runs.end_run import end_run
from fintts_store.runs.ledger import (
    read_ledger,
    take_launch,
    withdraw_launch,
    write_sighting,
)
from fintts_store.runs.runs import withdraw_revision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fintts_cli.infra import Infra
    from fintts_cli.launch.launch import Launch
    from fintts_cli.launch.upload import Inputs
    from fintts_cli.runs.journal import Journal
    from fintts_cli.workplace.workplace import Workplace
    from fintts_store.runs.records import Result
    from fintts_store.runs.run_record import RunRecord


def start(here: Workplace, launch: Launch, infra: Infra, tell: Callable[[str], None]) -> Launch:
    """Uploads, writes run.json and requests the instance. A failure or an interruption leaves
    nothing running, and no run that never started.

    Returns the launch with the moment of the request, from which its deadline counts: neither a
    prompt nor an upload takes time from the run.

    Raises:
        CliError, InputError, StoreError: the launch failed.
    """
    refuse_wrong_clock(launch.store, launch.settings.infra, tell)
    require_promise(launch.store, single_writer=launch.settings.single_writer)
    here.stores.note(launch.store)
    inputs = upload.upload_inputs(launch.store, launch.inputs, tell, launch.resumes)
    try:
        shutil.rmtree(launch.bundle, ignore_errors=True)
        measures = bool(inputs.eval_models or (launch.resumes and launch.resumes.eval_models))
        bundle = write_bundle(launch.bundle, measures=measures)
        me = here.laptop(make=True)
        asked = replace(launch, asked_at=datetime.now(UTC), me=me)
        if not launch.settings.is_local:
            tell(_waits(launch))
        _start(asked, inputs, bundle, infra, here.journal)
        return asked
    finally:  # an accepted instance has its own copy
        shutil.rmtree(launch.bundle, ignore_errors=True)


def _waits(launch: Launch) -> str:
    minutes = counted(round(launch.settings.launch_patience_seconds / 60), "minute")
    return (
        f"waiting for an instance, for at most {minutes} in each place; Ctrl-C takes the request "
        "back"
    )


def _start(launch: Launch, inputs: Inputs, bundle: Bundle, infra: Infra, journal: Journal) -> None:
    grant = grant_for(launch, inputs.keys, inputs.adds_to)
    if grant.is_for_the_run:
        url, adds_to = launch.store.url, inputs.adds_to
        backend_of(url).try_grant(url, launch.run, inputs.keys, grant, adds_to=adds_to)
    secrets = {**grant.variables, **launch.settings.secrets}
    if launch.resumes is not None:
        resume.refuse_other_inputs(launch.resumes, inputs)
        _go_on(launch, launch.resumes, secrets, infra, journal)
        return
    take_number(launch)
    try:
        run_record.begin(
            launch.store,
            launch.run,
            launch.config,
            inputs,
            terms_of(launch),
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
    """Removes a run that rented nothing. An instance that was up for minutes is billed, and its run
    may be launched again."""
    store, number = launch.store, launch.so_far.number
    is_billed = any(ledger_entry(launch).rates_usd.values())
    if is_billed and not _never_came(infra, launch.run):
        _note_gone(launch, infra)
        return
    store.delete(layout.run_json_key(launch.run))
    withdraw_launch(store, launch.run, number)


def _never_came(infra: Infra, run: str) -> bool:
    """Whether the infra is certain that no instance ever existed."""
    state = infra.state(run)
    return state is None or state.never_came


def _note_gone(launch: Launch, infra: Infra) -> None:
    """Records that the cloud has no such instance now; whether one ever came is unknown."""
    with suppress(StoreError, CloudError):  # otherwise the latest possible end counts
        at = launch.asked_at if _never_came(infra, launch.run) else datetime.now(UTC)
        seen = gone(launch.run, launch.so_far.number, at, launch.me)
        write_sighting(launch.store, seen)


def _close_unrented(launch: Launch) -> None:
    """Closes the launches before the one that wrote the run: they were cut off before it, and
    rented nothing."""
    for before in read_ledger(launch.store, launch.run).launches:
        was_seen = before.ups or before.gones
        if before.asked and before.number < launch.so_far.number and not was_seen:
            at = before.asked.requested_at
            write_sighting(launch.store, gone(launch.run, before.number, at, launch.me))


def take_number(launch: Launch) -> None:
    """Takes the launch's number, which only one laptop can get, before anything changes.

    Raises:
        UsageProblem: another laptop has the number.
        StoreError: the store cannot be written.
    """
    try:
        take_launch(launch.store, ledger_entry(launch))
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
        revision = run_record.revise(store, record, launch.config, launch.changes, launch.asked_at)
        ended = resume.go_on(store, launch.run)
        ask_for_instance(launch, infra, journal, secrets)
    except BaseException:
        if not is_live(infra, launch.run):
            _take_back(launch, infra, ended)
            if revision is not None:
                withdraw_revision(store, launch.run, revision)
        raise


def _take_back(launch: Launch, infra: Infra, ended: Result | None) -> None:
    """Restores the run as it was before, since nothing of this launch is left."""
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
    """Writes the task, then the journal, then requests the instance.

    An infra leaves nothing of a launch that fails or is interrupted; the journal then records that,
    or again describes an earlier instance that is live.

    Raises:
        CloudError: the instance could not be created, or the run has a live instance, which is left
            alone.
        StoreError: the journal cannot be written; nothing was created.
        KeyboardInterrupt: nothing is left running.
    """
    task, before = render_task(launch), journal.read(launch.run)
    journal.write(journal_entry(launch))
    try:
        infra.launch(launch.run, task, secrets)
    except BaseException:
        if before is not None and _has_been_live(infra, launch):
            journal.write(before)
        else:
            journal.change(launch.run, gone_at=datetime.now(UTC))
        raise
    with suppress(StoreError):  # the infra also knows the moment
        journal.change(launch.run, created_at=datetime.now(UTC))
        _note_up(launch, infra, datetime.now(UTC))


def _has_been_live(infra: Infra, launch: Launch) -> bool:
    """Whether a live instance is older than this launch. Without its journal entry, this launch
    would seem to have been cut off before it rented anything, and to have cost nothing."""
    with suppress(CloudError):
        state = infra.state(launch.run)
        return state is not None and state.is_live and state.created_at < launch.asked_at
    return False


def _note_up(launch: Launch, infra: Infra, now: datetime) -> None:
    """Records the instance as up; `ps` repeats this if the infra does not know yet."""
    with suppress(CloudError):
        state = infra.state(launch.run)
        number = launch.so_far.number
        if state is not None and state.is_live:
            for seen in sightings_of(state, launch.run, number, launch.me, now, is_exact=False):
                write_sighting(launch.store, seen)
