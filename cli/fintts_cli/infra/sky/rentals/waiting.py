"""A request for an instance, and what SkyPilot does until the instance is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from fintts_cli.infra.sky.rentals.record import SkyRecord


class Waiting(NamedTuple):
    """A request for an instance at one moment."""

    place: str | None = None
    """where SkyPilot tries to get it, as in `--infra`; None if nowhere, or not known"""
    is_ready: bool = False
    """whether the instance is ready, or was"""
    has_tried_all: bool = False
    """whether each place that the task allows has refused, and SkyPilot will ask them again"""
    failure: str | None = None
    """why SkyPilot gave the request up"""


class Requesting(Protocol):
    """How an instance is requested; `sky` is the SDK. Passes on what SkyPilot raises."""

    @property
    def is_ready_when_answered(self) -> bool:
        """Whether SkyPilot answers the request only once the instance is ready."""
        ...

    def ask(self, sky: Any, record: SkyRecord, task: Any) -> Any:
        """Requests an instance; returns SkyPilot's id of the request."""
        ...

    def waiting(self, sky: Any, record: SkyRecord) -> Waiting:
        """What SkyPilot does for the instance now, without asking the cloud."""
        ...

    def said(self, sky: Any, record: SkyRecord) -> str:
        """What SkyPilot wrote for itself while it asked for the instance; empty if unknown."""
        ...
