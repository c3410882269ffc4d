"""The controller of managed jobs, which must run on this machine."""

from __future__ import annotations

from typing import Any

from fintts_cli.errors import CloudError

CONTROLLER_IS_OFF = (None, "STOPPED")
"""the states of a controller instance that was never rented, or has stopped"""


def refuse_hired_controller(sky: Any) -> None:
    """Raises CloudError if SkyPilot would rent an instance as the controller.

    A server elsewhere is its owner's choice; the one here must run the controller itself.
    """
    if not sky.server.common.is_api_server_local():
        return
    sky.api_start()  # SkyPilot reads its settings at this point
    if not sky.utils.controller_utils.is_jobs_consolidation_mode():
        raise CloudError(
            "SkyPilot would rent a second instance to watch over a spot run, and keep it",
            "set jobs.controller.consolidation_mode: true in ~/.sky/config.yaml and restart its "
            "server with `sky api stop`: then this machine watches",
        )
