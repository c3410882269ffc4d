"""Decides whether an existing run may be resumed, and with which changes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from pydantic import ValidationError

from fintts_cli.errors import UsageProblem
from fintts_cli.runs.instances.at_work import Whose
from fintts_cli.runs.instances.requester import fate_of_asker
from fintts_cli.runs.status.stop_reason import how_it_stopped
from fintts_inputs.config import RunConfig
from fintts_store.checkpoints.listing import list_commits, read_manifest
from fintts_store.errors import InvalidRecord, KeyNotFound
from fintts_store.runs.claims import highest_claim
from fintts_store.runs.ledger import read_ledger, write_sighting
from fintts_store.runs.noted_process import Fate
from fintts_store.runs.records import StopReason
from fintts_store.runs.runs import (
    read_result,
    withdraw_result,
    withdraw_stop,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fintts_cli.launch.upload import Inputs
    from fintts_cli.runs.instances.at_work import AtWork
    from fintts_cli.runs.status.view import RunView
    from fintts_inputs.config_changes import Change
    from fintts_store.runs.ledger import Gone, Up
    from fintts_store.runs.records import Result
    from fintts_store.runs.run_record import AdapterRef, RunRecord
    from fintts_store.store import Store

CUT_SHORT = (StopReason.FAILED, StopReason.DEADLINE, StopReason.REQUESTED)
"""ends from which a run can resume at its newest checkpoint"""


ANOTHER_NAME = "--name to start another run"


LIFTED_BY = {
    StopReason.MAX_STEPS: "a higher training.max_steps",
    StopReason.EARLY_STOPPING: "a higher early_stopping.patience",
}
"""the setting that lets a finished run continue, with --force"""


def refuse_changes(
    store: Store, record: RunRecord, config: RunConfig, *, force: bool
) -> tuple[Change, ...]:
    """Allows a run to resume only with its own configuration, and only if something is left to do.
    A run that never started to train resumes with any configuration.

    Returns the changes to its configuration.

    Raises:
        UsageProblem: the run is finished, or something differs; the message names it.
    """
    before = _configuration_of(record)
    result = read_result(store, record.run)
    if result is not None and not (
        result.stop_reason in CUT_SHORT or (force and _is_lifted(result, before, config))
    ):
        _refuse_ended(result)
    changes = before.differences(config)
    if _never_began(store, record.run):
        return tuple(changes)
    if not force or not all(change.is_forcible for change in changes):
        _refuse_differing(record, changes, force=force)
    return tuple(changes)


def _never_began(store: Store, run: str) -> bool:
    """Whether all its launches failed before a trainer took the run, so that there is nothing to
    keep."""
    launches = read_ledger(store, run).launches
    has_failed = bool(launches) and all(each.is_known_gone for each in launches)
    return has_failed and highest_claim(store, run) == 0


def _refuse_ended(result: Result) -> NoReturn:
    lifted_by = LIFTED_BY.get(result.stop_reason)
    longer = "" if lifted_by is None else f"--force with {lifted_by} resumes it; or "
    raise UsageProblem(
        f"run {result.run} has already ended: it {how_it_stopped(result.stop_reason, result.step)}",
        f"{longer}give a new {ANOTHER_NAME}",
    )


def _is_lifted(result: Result, before: RunConfig, config: RunConfig) -> bool:
    """Whether the new configuration keeps the run from ending again at once for the same reason."""
    stopping = config.early_stopping
    if result.stop_reason == StopReason.MAX_STEPS:
        return config.training.max_steps > result.step
    if result.stop_reason == StopReason.EARLY_STOPPING:
        return not stopping.enabled or stopping.patience > before.early_stopping.patience
    return False


def refuse_live(view: RunView) -> None:
    """Raises UsageProblem if an instance, or a `fintts train` anywhere, works on the run."""
    at_work = view.at_work
    if at_work.is_anothers and at_work.launch is not None:
        _refuse_anothers(view.run, at_work)
    if at_work.is_anothers or at_work.is_heard or view.instance_is_live:
        raise UsageProblem(
            f"run {view.run} is already running",
            f"`fintts cloud watch {view.run}` shows it; give a new {ANOTHER_NAME}",
        )
    if at_work.whose == Whose.MINE and view.instance_is_live is None:
        _refuse_asking(view.run, at_work)


def _refuse_asking(run: str, at_work: AtWork) -> None:
    """Refuses while a process that this machine cannot see may have rented, or be about to."""
    asker, fate = at_work.asked_by, fate_of_asker(at_work.asked_by)
    if asker is not None and fate == Fate.LIVES:
        raise UsageProblem(
            f"process {asker.pid} of this laptop is launching run {run}",
            f"`fintts cloud watch {run}` shows it; give a new {ANOTHER_NAME}",
        )
    if fate == Fate.UNKNOWN:
        host = (asker.host if asker else None) or at_work.host
        raise UsageProblem(
            f"a process on {host}, not visible from here, may be launching run {run}",
            f"`fintts cloud down {run}` there ends it; {at_work.until}; "
            f"or give a new {ANOTHER_NAME}",
        )


def _refuse_anothers(run: str, at_work: AtWork) -> NoReturn:
    """Refuses because of another laptop's launch; if it was never heard from, it may have rented
    nothing."""
    there = f"`fintts cloud down {run}` on {at_work.host} ends it"
    unheard = f"{at_work.until}; {there}; or give a new {ANOTHER_NAME}"
    heard = f"`fintts cloud watch {run}` shows it; give a new {ANOTHER_NAME}"
    raise UsageProblem(
        f"run {run} is already running: {at_work.sentence}",
        heard if at_work.is_heard else unheard,
    )


def refuse_other_inputs(record: RunRecord, inputs: Inputs) -> None:
    """Applies the same rule to the input folders: their paths may change, their content may not.

    Raises:
        UsageProblem: data, base model, adapter, codec or models that measure differ from those
            that the run started with.
    """
    data_differ = not _is_same_data(record, inputs)
    model_differs = record.base_model.digest != inputs.base_model.digest
    data = ["data: the content of the folder"] if data_differ else []
    model = ["base_model: the content of its files"] if model_differs else []
    adapter_differs = _weights_of(record.initial_adapter) != _weights_of(inputs.initial_adapter)
    adapter = ["initial_adapter: its weights"] if adapter_differs else []
    codec_differs = inputs.codec is not None and inputs.codec != record.codec
    codec = ["samples: the codec that the run started with, or without"] if codec_differs else []
    measuring = [
        f"eval.{kind}: the model that the run started with, or without"
        for kind, one in inputs.eval_models.items()
        if record.eval_models.get(kind) != one
    ]
    others = data + model + adapter + codec + measuring
    if others:
        raise UsageProblem(
            f"run {record.run} started with another configuration: {'; '.join(others)}",
            f"undo these changes, or give a new {ANOTHER_NAME}",
        )


def _is_same_data(record: RunRecord, inputs: Inputs) -> bool:
    """Recordings are the same by sound, texts and codec; codes by the data set made of them."""
    before, now = record.recordings, inputs.recordings
    if before is not None and now is not None:
        return (before.texts, before.encoded) == (now.texts, now.encoded)
    if record.dataset is None or inputs.dataset is None:
        return False
    return record.dataset.sha256 == inputs.dataset.sha256


def _weights_of(adapter: AdapterRef | None) -> str | None:
    return adapter.weights_sha256 if adapter is not None else None


def _refuse_differing(record: RunRecord, changes: list[Change], *, force: bool) -> None:
    """Raises UsageProblem with the fields that --force may change, and those that it may not."""
    if not changes:
        return
    may = "; ".join(str(change) for change in changes if change.is_forcible)
    never = "; ".join(str(change) for change in changes if not change.is_forcible)
    begun = f"run {record.run} started with another configuration"
    if not never:
        sentence, hint = f"{begun}: {may}", "undo these changes, keep them with --force"
    elif force:
        sentence, hint = f"{begun}, which --force cannot change: {never}", "undo these changes"
    else:
        sentence, hint = f"{begun}: {never}", "undo these changes"
    if may and never:
        sentence += f"; --force allows {may}"
    raise UsageProblem(sentence, f"{hint}, or give a new {ANOTHER_NAME}")


def nothing_to_force(run: str) -> str:
    """The message for --force without a run."""
    return f"there is no run {run} yet, so --force has no effect"


def goes_on_from(store: Store, run: str) -> str:
    """The verb of a sentence about a run that already exists.

    Raises:
        StoreError: its commits cannot be read.
    """
    for name in reversed(list_commits(store, run)):
        with suppress(InvalidRecord, KeyNotFound):  # the trainer skips it, too
            if read_manifest(store, run, name) is not None:
                return f"resumes from its newest checkpoint, at step {name.step}"
    return "starts at step 0: it has no checkpoint"


def in_words(changes: tuple[Change, ...]) -> str:
    """`, with training.max_steps: 400 → 800`; empty without changes."""
    return f", with {'; '.join(map(str, changes))}" if changes else ""


def _configuration_of(record: RunRecord) -> RunConfig:
    try:
        return RunConfig.model_validate(record.config)
    except ValidationError:
        raise UsageProblem(
            f"run {record.run} started with another configuration, written by "
            "another version of fintts",
            f"use the version that started it, or give a new {ANOTHER_NAME}",
        ) from None


def go_on(store: Store, run: str, ends: Iterable[Up | Gone] = ()) -> Result | None:
    """Withdraws an earlier end and an earlier stop request: either would end the run at once.

    Args:
        ends: sightings to write to the ledger first, since the result will no longer show them.

    Returns the earlier end, to be written again if the run cannot resume after all.
    """
    before = read_result(store, run)
    for seen in ends:
        write_sighting(store, seen)
    withdraw_stop(store, run)
    withdraw_result(store, run)
    return before
