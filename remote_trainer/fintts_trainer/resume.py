"""Resumes a run from its newest complete checkpoint, if that fits the run's configuration."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError

from fintts_inputs.config import RunConfig
from fintts_inputs.errors import ConfigurationChanged
from fintts_inputs.prompts import prompt_begun_with
from fintts_store.checkpoints.going_on import restore_to_go_on
from fintts_store.checkpoints.manifest import of_another_base_model
from fintts_store.checkpoints.restore import restore
from fintts_store.disk.reading import read_limited
from fintts_store.errors import StoreError
from fintts_store.network.retrying import insist
from fintts_store.runs.limits import STATE_BYTES
from fintts_store.runs.runs import read_configurations
from fintts_trainer.checkpoint import STATE_FILE, copy_from_first, read_checkpoint
from fintts_trainer.processes.hang_limits import LEAST_SECONDS
from fintts_trainer.processes.random_state import seed_of, set_random_state
from fintts_trainer.session.local_checkpoints import local_rows, newest_local, remove_local
from fintts_trainer.session.session import StoreSession, log

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_inputs.config_changes import Change
    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.layout import CommitName
    from fintts_trainer.loop.training import Training
    from fintts_trainer.processes.random_state import RandomState
    from fintts_trainer.session.session import Session


def resume(training: Training) -> None:
    """Restores every process from the newest complete checkpoint, if there is one."""
    session, world = training.session, training.world
    random_states: list[RandomState] = []
    limit_seconds = session.job.patience_seconds + LEAST_SECONDS
    session.progress.begin("fetching the newest checkpoint", limit_seconds, "setup")
    if isinstance(session, StoreSession):
        random_states = _read_newest(training, session)
    training.state = world.from_first(training.state)
    random_states = world.from_first(random_states)
    copy_from_first(world, training.adapter)
    if len(random_states) == world.size:
        set_random_state(random_states[world.rank])
    else:  # a first start, or another number of processes: each needs a different dropout
        torch.manual_seed(seed_of(training.config.training.seed, training.state.step, world.rank))


def _read_newest(training: Training, session: StoreSession) -> list[RandomState]:
    """Reads the newest complete checkpoint into model and optimizer; returns the random states of
    its processes, empty without a checkpoint."""
    job = session.job
    target = job.workspace / "resumed"
    shutil.rmtree(target, ignore_errors=True)
    manifest = restore_to_go_on(
        job.store,
        job.run,
        session.claim,
        target,
        on_skip=_log_skipped,
        committed_step=session.committed_before,
        patience_seconds=job.patience_seconds,
        on_bytes=session.progress.sign,
    )
    manifest = _upload_local(session, manifest, target)
    if manifest is None:
        return []
    refuse_another_configuration(session, manifest, target)
    if manifest.base_model_digest != session.record.base_model.digest:
        raise of_another_base_model(manifest)
    refuse_another_prompt(training, manifest, target)
    training.state, random_states = read_checkpoint(target, training.model, training.adapter)
    if training.is_deaf:  # the launch after that end tries again
        training.state.unheard_checks = 0
    session.committer.resume_point = manifest.id
    session.heartbeat.change(resume_point=manifest.id)
    log(f"resumed at step {training.state.step}")
    return random_states


def _upload_local(
    session: StoreSession, committed: Manifest | None, target: Path
) -> Manifest | None:
    """The newest checkpoint: one that an earlier job could not upload, uploaded now from this disk,
    or else the committed one."""
    job = session.job
    step = 0 if committed is None else committed.step
    found = newest_local(job.workspace, session.record, session.config.digest(), step)
    if found is None:
        return committed
    folder, facts = found
    log(f"step {facts.step} is on this disk but not in the store; uploading it now")
    session.metrics.add_rows(local_rows(folder))
    # First the metrics: no job that resumes from the checkpoint repeats these steps.
    insist(session.metrics.flush, job.patience_seconds)
    manifest = insist(lambda: session.committer.commit(folder, facts), job.patience_seconds)
    restore(job.store, manifest, target)
    remove_local(job.workspace, manifest.step)
    return manifest


def _log_skipped(name: CommitName, error: StoreError) -> None:
    log(f"the checkpoint at step {name.step} is skipped: {error.message}")


def refuse_another_configuration(session: Session, manifest: Manifest, folder: Path) -> None:
    """Lets a run resume only from a checkpoint of its own configuration, or of an earlier one
    that differs only in fields that --force may change.

    Args:
        folder: the checkpoint's files.

    Raises:
        ConfigurationChanged: the configurations differ; the message names the fields.
        StoreError: the run's configurations cannot be read.
    """
    if manifest.config_digest == session.config.digest():
        return
    changes = _changes(folder, session.config)
    is_known = manifest.config_digest in _digests(session)
    if is_known and changes and all(change.is_forcible for change in changes):
        log(f"the run resumes with a changed configuration: {'; '.join(map(str, changes))}")
        return
    differing = "; ".join(map(str, changes or ())) or "another version of fintts wrote it"
    raise ConfigurationChanged(
        f"the checkpoint at step {manifest.step} was trained with another configuration: "
        f"{differing}",
        "launch the changed configuration under a new --name",
    )


def refuse_another_prompt(training: Training, manifest: Manifest, folder: Path) -> None:
    """Lets a run resume only with the prompt of its earlier steps.

    Args:
        folder: the checkpoint's files.

    Raises:
        ConfigurationChanged: the checkpoint's prompt differs.
    """
    recorded = json.loads(read_limited(folder / STATE_FILE, STATE_BYTES)).get("prompt")
    begun, prompt = prompt_begun_with(recorded, training.shape.prompts), training.prompt
    if begun != prompt:
        raise ConfigurationChanged(
            f"the checkpoint at step {manifest.step} was trained with the prompt {begun}, but the "
            f"run uses {prompt}: an older version of fintts continued it",
            "start a new run; `fintts cloud pull-checkpoints --step` fetches earlier checkpoints",
        )


def _changes(folder: Path, config: RunConfig) -> list[Change] | None:
    """The changes since the checkpoint's configuration; None if that cannot be read."""
    try:
        saved = json.loads(read_limited(folder / STATE_FILE, STATE_BYTES))["config"]
        return RunConfig.model_validate(saved).differences(config)
    except (KeyError, TypeError, ValueError, RecursionError, StoreError):
        return None


def _digests(session: Session) -> set[str]:
    """The digests of the run's configurations that this version understands."""
    digests: set[str] = set()
    for content in read_configurations(session.job.store, session.job.run):
        try:
            digests.add(RunConfig.model_validate(content).digest())
        except ValidationError:
            continue
    return digests
