"""Refuses a run whose experiment trackers would have no key or no server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.errors import UsageProblem
from fintts_inputs.trackers import missing_key

if TYPE_CHECKING:
    from fintts_cli.settings.model import Settings


def require_tracker_keys(settings: Settings) -> None:
    """Raises UsageProblem, for all trackers at once, before anything is uploaded or rented."""
    is_local = settings.is_local
    lacking = [missing_key(tracker, is_local=is_local) for tracker in settings.trackers]
    if sentences := [sentence for sentence in lacking if sentence is not None]:
        raise UsageProblem(
            "; ".join(sentences), "set the variable in your shell, or leave the tracker out"
        )
