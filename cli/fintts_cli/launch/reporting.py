"""Refuses a run whose notifications or experiment trackers would get nothing from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.errors import UsageProblem
from fintts_inputs.notify.urls import shown
from fintts_inputs.trackers import lost_on_instance, missing_key
from fintts_store.network.reach import obstacle_to

if TYPE_CHECKING:
    from fintts_cli.settings.model import Settings


def require_reporting(settings: Settings) -> None:
    """Raises UsageProblem before anything is uploaded or rented."""
    require_trackers(settings)
    require_notify(settings)


def require_trackers(settings: Settings) -> None:
    """Raises UsageProblem, for all trackers at once, if one has no key, or no server that the run
    can reach."""
    is_local = settings.is_local
    found = [
        missing_key(tracker, is_local=is_local) or (None if is_local else lost_on_instance(tracker))
        for tracker in settings.trackers
    ]
    if sentences := [sentence for sentence in found if sentence is not None]:
        raise UsageProblem(
            "; ".join(sentences), "change the variable in your shell, or leave the tracker out"
        )


def require_notify(settings: Settings) -> None:
    """Raises UsageProblem if a rented instance cannot reach a URL."""
    if settings.is_local:
        return
    for url in settings.notify:
        text = url.get_secret_value()
        if obstacle := obstacle_to(text, shown=f"{shown(text)} in `notify`"):
            raise UsageProblem(obstacle.message, obstacle.hint)
