"""Whether a checkpoint belongs to what its run is asked for now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import ValidationError

from fintts_inputs.config import RunConfig
from fintts_inputs.errors import ConfigurationChanged
from fintts_inputs.prompts import prompt_begun_with
from fintts_store.disk.reading import read_limited
from fintts_store.errors import StoreError
from fintts_store.runs.limits import STATE_BYTES
from fintts_store.runs.runs import read_configurations
from fintts_trainer.checkpoint import STATE_FILE
from fintts_trainer.session.session import tell

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_inputs.config import Change
    from fintts_inputs.prompts import Prompt
    from fintts_store.checkpoints.manifest import Manifest
    from fintts_trainer.session.session import Desk


def refuse_another_configuration(desk: Desk, manifest: Manifest, folder: Path) -> None:
    """A run goes on from a checkpoint of its own configuration, or of one that it had before and
    that differs in nothing but what --force may change.

    Args:
        folder: the checkpoint's files.

    Raises:
        ConfigurationChanged: it was trained with another one; each field that differs is named.
        StoreError: the run's configurations cannot be read.
    """
    if manifest.config_digest == desk.config.digest():
        return
    changes = _changes(folder, desk.config)
    is_known = manifest.config_digest in _digests(desk)
    if is_known and changes and all(change.is_forcible for change in changes):
        tell(f"the run goes on with another configuration: {'; '.join(map(str, changes))}")
        return
    differing = "; ".join(map(str, changes or ())) or "it is that of another version of fintts"
    raise ConfigurationChanged(
        f"the checkpoint at step {manifest.step} was trained with another configuration: "
        f"{differing}",
        "launch the changed configuration under a new --name",
    )


def refuse_another_prompt(prompt: Prompt, manifest: Manifest, folder: Path) -> None:
    """A run is trained with one prompt from its first step to its last.

    Args:
        prompt: of the run.
        folder: the checkpoint's files.

    Raises:
        ConfigurationChanged: the checkpoint was trained with another one.
    """
    recorded = json.loads(read_limited(folder / STATE_FILE, STATE_BYTES)).get("prompt")
    begun = prompt_begun_with(recorded, prompt)
    if begun is not prompt:
        raise ConfigurationChanged(
            f"the checkpoint at step {manifest.step} was trained with the prompt {begun}, but the "
            f"run is one of {prompt}: an older version of fintts has gone on with it",
            "begin a new run; `fintts cloud pull-checkpoints --step` brings the earlier ones",
        )


def _changes(folder: Path, config: RunConfig) -> list[Change] | None:
    """From the checkpoint's configuration to this one; None where it cannot be read."""
    try:
        saved = json.loads(read_limited(folder / STATE_FILE, STATE_BYTES))["config"]
        return RunConfig.model_validate(saved).differences(config)
    except (KeyError, TypeError, ValueError, RecursionError, StoreError):
        return None


def _digests(desk: Desk) -> set[str]:
    """Of each configuration that the run has had, as far as this version understands it."""
    digests: set[str] = set()
    for content in read_configurations(desk.job.store, desk.job.run):
        try:
            digests.add(RunConfig.model_validate(content).digest())
        except ValidationError:
            continue
    return digests
