"""What must hold before a machine is rented: it can reach the store, and something ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError, UsageProblem
from fintts_cli.infra.sky.aws import AWS
from fintts_cli.infra.sky.job import require_own_controller
from fintts_cli.infra.sky.session import require_sky
from fintts_cost.prices import WITHOUT_AUTODOWN
from fintts_store.opening import backend_of

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_cli.settings.model import Settings


def refuse_unsafe_rental(sky_log: Path, settings: Settings, store_url: str) -> None:
    """Refuses to rent an instance that could not reach the store, or would not end by itself.

    Args:
        sky_log: the file for SkyPilot's output.

    Raises:
        UsageProblem: only this machine can reach the store.
        CloudError: SkyPilot is not installed, the cloud has no autodown, or a second instance would
            be rented to watch over the first.
    """
    obstacle = backend_of(store_url).obstacle(store_url)
    if obstacle is not None:
        raise UsageProblem(obstacle.message, obstacle.hint)
    require_sky()
    cloud = (settings.infra or "").partition("/")[0].lower()
    if cloud in WITHOUT_AUTODOWN:
        raise CloudError(
            f"an instance on {cloud} would keep running after the run ends",
            "choose another --infra",
        )
    if settings.spot:
        require_own_controller(sky_log)


def unarmed(infra: str | None) -> str | None:
    """The warning for an instance that cannot power itself off; None if it can."""
    cloud = (infra or "").partition("/")[0].lower()
    if cloud == AWS:
        return None
    where = f"on {cloud}" if cloud else "on other clouds than AWS"
    return (
        f"{where} an instance keeps running if its launch is cut off, for example because you shut "
        "this machine in the half minute before SkyPilot sets the autodown"
    )


REAP_BY_CRON = (
    "let cron call `fintts cloud reap --yes --quiet`: it finds and removes such instances"
)
