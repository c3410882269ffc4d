"""What must hold before a machine is rented: it can reach the store, and something ends it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError, UsageProblem
from fintts_cli.infra.sky.aws import AWS
from fintts_cli.infra.sky.ending.ending import RUNPOD, ending_of
from fintts_cli.infra.sky.launch.own_controller import require_own_controller
from fintts_cli.infra.sky.server.server import refuse_copied_keys
from fintts_cli.infra.sky.server.session import require_sky
from fintts_cli.places import cloud_of, clouds_named
from fintts_cli.workplace.state_folder import home_folder
from fintts_store.opening import backend_of

if TYPE_CHECKING:
    from fintts_cli.settings.model import Settings
    from fintts_cli.workplace.workplace import Workplace


def refuse_unsafe_rental(sky_log: Path, settings: Settings, store_url: str) -> None:
    """Refuses to rent an instance that could not reach the store, or would not end by itself.

    Args:
        sky_log: the file for SkyPilot's output.

    Raises:
        UsageProblem: only this machine can reach the store.
        CloudError: SkyPilot is not installed, the instance could not end itself, SkyPilot rents no
            spot instance there, would copy more of your keys than the instance needs, or would
            rent a second instance to watch over the first.
    """
    _refuse_unreachable(store_url)
    require_sky()
    refuse_endless(settings.infra, is_spot=settings.spot)
    refuse_copied_keys(home_folder(), clouds_named(settings.infra))
    if settings.spot:
        require_own_controller(sky_log)


def refuse_unsafe_launch(here: Workplace, settings: Settings, store_url: str) -> None:
    """The same for whichever infra the settings name; one of our own ends its instances itself.

    Raises:
        UsageProblem, CloudError: as `refuse_unsafe_rental` raises them.
    """
    if here.is_by_sky(settings.infra):
        refuse_unsafe_rental(here.sky_log, settings, store_url)
    elif not settings.is_local:
        _refuse_unreachable(store_url)


def _refuse_unreachable(store_url: str) -> None:
    obstacle = backend_of(store_url).obstacle(store_url)
    if obstacle is not None:
        raise UsageProblem(obstacle.message, obstacle.hint)


def refuse_endless(infra: str | None, *, is_spot: bool) -> None:
    """Raises CloudError if nothing would end an instance there."""
    ending, cloud = ending_of(infra), cloud_of(infra)
    for path in ending.files.values():
        if not Path(path).expanduser().is_file():
            raise CloudError(
                f"an instance on {cloud} ends itself with your key from {path}, which does not "
                "exist",
                f"write the key into that file; `sky check {cloud}` shows its format",
            )
    if is_spot and not ending.has_managed_jobs:
        raise CloudError(
            f"SkyPilot cannot end spot instances on {cloud}, so none is rented",
            "use --on-demand, or choose another --infra",
        )


def unarmed(infra: str | None, *, is_spot: bool) -> str | None:
    """The warning for an instance that nothing ends if its launch is cut off; None if it powers
    itself off, or if its seller holds the deadline."""
    cloud = cloud_of(infra)
    if cloud == AWS or (cloud == RUNPOD and not is_spot):
        return None
    where = f"on {cloud}" if cloud else "on other clouds than AWS"
    return (
        f"{where} an instance keeps running if its launch is interrupted, for example if you "
        "shut this machine down in the half minute before the instance can end itself"
    )


REAP_BY_CRON = (
    "let cron call `fintts cloud reap --yes --quiet`: it finds and removes such instances"
)
