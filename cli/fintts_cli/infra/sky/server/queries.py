"""What SkyPilot is asked before and during a launch: its clouds, offers, and requests."""

from __future__ import annotations

import difflib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import UsageProblem
from fintts_cli.places import cloud_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    Session = Callable[[Path], AbstractContextManager[Any]]
    """opens SkyPilot's SDK; its output goes to that file"""


def await_request(sky: Any, request: Any) -> None:
    """Returns once the request is answered; cancels the request if interrupted."""
    try:
        sky.stream_and_get(request)
    except BaseException:
        with suppress(Exception):  # errors do not matter: what was started is removed next
            sky.get(sky.api_cancel(request))
        raise


def enabled_clouds(sky: Any) -> set[str]:
    """The clouds that SkyPilot's last check found usable, as in `--infra`."""
    # Some of the SDK is missing from the package's own namespace.
    return {str(cloud).lower() for cloud in sky.get(sky.client.sdk.enabled_clouds())}


def clouds_of(sky: Any, infra: str) -> frozenset[str]:
    """The cloud of the infra; all that SkyPilot may use if it chooses."""
    cloud = cloud_of(infra)
    return frozenset({cloud} if cloud else enabled_clouds(sky))


def refuse_unknown_cloud(sky: Any, cloud: str) -> None:
    """Raises UsageProblem if SkyPilot knows no cloud of this name."""
    known = sorted(sky.utils.registry.CLOUD_REGISTRY)
    if cloud and cloud not in known:
        near = difflib.get_close_matches(cloud, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it knows {', '.join(known)}"
        raise UsageProblem(f"SkyPilot knows no cloud {cloud}", hint)


def require_offer(sky: Any, task: Any) -> None:
    """Passes on what SkyPilot raises if no enabled cloud has such an instance."""
    plan = sky.Dag()
    plan.add(task)
    sky.get(sky.optimize(plan))
