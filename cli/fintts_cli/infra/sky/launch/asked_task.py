"""What a rendered task says of the instance that it asks for."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from fintts_cli.infra.labels import deadline_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

PATIENCE = "FINTTS_LAUNCH_PATIENCE_SECONDS"
"""the variable of the task that holds launch patience, in seconds"""


class AskedTask(NamedTuple):
    """A task, and what is read from it."""

    text: str
    is_spot: bool
    deadline_at: datetime | None
    """in its label; None if it has none"""
    envs: Mapping[str, str]
    workdir: str
    """the folder with the code; empty if it has none"""

    @property
    def patience_seconds(self) -> float:
        """How long the instance may take to become ready; infinite if the task does not say."""
        return float(self.envs.get(PATIENCE, inf))


def read_task(text: str) -> AskedTask:
    """Passes on what YAML raises, and LookupError if it is no task of ours."""
    task: dict[str, Any] = yaml.safe_load(text)
    resources = task["resources"]
    deadline_at = deadline_of(resources.get("labels"))
    return AskedTask(
        text,
        bool(resources["use_spot"]),
        deadline_at,
        task.get("envs") or {},
        task.get("workdir") or "",
    )
