"""Refuses a spot run before it starts, if SkyPilot would rent its controller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.infra.sky.rentals.controller import refuse_hired_controller
from fintts_cli.infra.sky.server.errors import in_a_sentence
from fintts_cli.infra.sky.server.session import sky_session

if TYPE_CHECKING:
    from pathlib import Path


def require_own_controller(log: Path) -> None:
    """Makes the same check before a launch starts; SkyPilot's output goes into the file."""
    with sky_session(log) as sky:
        try:
            refuse_hired_controller(sky)
        except Exception as error:
            raise in_a_sentence(error, log) from error
