"""What SkyPilot does for an instance that is not ready yet."""

from __future__ import annotations

from typing import NamedTuple


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
