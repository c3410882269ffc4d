"""What SkyPilot needs on this machine and which clouds it may use; for `fintts doctor`."""

from __future__ import annotations

import re
import shutil
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.sellers.account import Account, account_at
from fintts_cli.infra.sky.server.errors import in_a_sentence
from fintts_cli.infra.sky.server.queries import enabled_clouds, refuse_unknown_cloud
from fintts_cli.infra.sky.server.session import require_sky, sky_session
from fintts_cli.timed_call import TimedCall

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


CHECKED_WITHIN_SECONDS = 120.0
"""The clouds' clients retry for minutes where a network swallows what they send."""
PROGRAMS = ("ssh", "rsync")
"""SkyPilot uses these to reach an instance and copy the code to it"""
PINNED = re.compile(r"skypilot(?:\[\w+\])?==([\w.]+)")


def describe_installation() -> str:
    """A sentence with the versions.

    Raises:
        CloudError: something is missing that a launch needs.
    """
    require_sky()
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        raise CloudError(
            f"SkyPilot launches instances with {' and '.join(missing)}, which cannot be found",
            f"install {' and '.join(missing)}, for example by apt-get",
        )
    if not _has_pip():
        raise CloudError(
            "pip is missing in this environment; SkyPilot packs itself for an instance with it",
            "python -m ensurepip",
        )
    return f"SkyPilot {version('skypilot')}"


def _has_pip() -> bool:
    """Checks by metadata: setuptools takes a search for the module itself for pip at work, and from
    then on withholds its distutils from this process."""
    try:
        version("pip")
    except PackageNotFoundError:
        return False
    return True


def other_version() -> str | None:
    """The SkyPilot version that this `fintts` was tested with, if a different one is installed."""
    pins = [match[1] for line in requires("fintts") or () if (match := PINNED.match(line))]
    tried = next(iter(pins), None)
    return None if tried in (None, version("skypilot")) else tried


def check_clouds(cloud: str | None, log: Path) -> list[str]:
    """The clouds where the credentials let SkyPilot rent; asks each of them now.

    Args:
        cloud: the cloud to check; None checks all that SkyPilot knows.
        log: the file for SkyPilot's output.

    Raises:
        UsageProblem: SkyPilot knows no such cloud.
        CloudError: SkyPilot cannot tell.
    """
    with sky_session(log) as sky:
        refuse_unknown_cloud(sky, cloud or "")
        try:
            wanted = None if cloud is None else (cloud,)
            # sky.check is also the name of a module.
            request = sky.client.sdk.check(wanted, verbose=False)
            found: dict[str, dict[str, list[str]]] = TimedCall(
                "SkyPilot", lambda: sky.get(request), CHECKED_WITHIN_SECONDS, CloudError
            ).result()
        except Exception as error:
            raise in_a_sentence(error, log) from error
    every = (each for workspace in found.values() for each in workspace.items())
    return sorted({name.lower() for name, abilities in every if "compute" in abilities})


def usable_clouds(log: Path) -> list[str]:
    """The clouds that SkyPilot's last check found usable; does not ask them.

    Raises:
        CloudError: SkyPilot cannot tell.
    """
    with sky_session(log) as sky:
        try:
            return sorted(enabled_clouds(sky))
        except Exception as error:
            raise in_a_sentence(error, log) from error


def without_quota(places: Iterable[tuple[str, str]], log: Path, *, spot: bool) -> list[str]:
    """The places where the cloud gives this account no quota for such instances.

    Args:
        places: infra and instance type, such as ("aws/us-east-1", "p5.4xlarge").
        log: the file for SkyPilot's output.

    Raises:
        CloudError: the quota cannot be looked up.
    """
    with sky_session(log) as sky:
        try:
            return [
                f"{infra} ({instance_type})"
                for infra, instance_type in places
                if not _is_allowed(sky, infra, instance_type, spot=spot)
            ]
        except Exception as error:
            raise in_a_sentence(error, log) from error


def _is_allowed(sky: Any, infra: str, instance_type: str, *, spot: bool) -> bool:
    """Whether the quota allows such an instance. SkyPilot looks it up if the cloud publishes it;
    otherwise every instance is allowed."""
    wanted = sky.Resources(infra=infra, instance_type=instance_type, use_spot=spot)
    return bool(wanted.cloud.check_quota_available(wanted))


def ask_seller(cloud: str, types: Iterable[str], log: Path) -> Account:
    """What the seller says of your account, and of instances of these types.

    Args:
        log: the file for SkyPilot's output.

    Raises:
        CloudError: the seller refuses, does not answer in time, or answers nonsense.
    """
    with sky_session(log) as sky:
        return account_at(sky, cloud, types)
