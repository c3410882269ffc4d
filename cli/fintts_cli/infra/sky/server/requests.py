"""The requests for instances that SkyPilot's server has accepted and not finished, and the request
to remove one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fintts_cli.infra.labels import deadline_named_in

if TYPE_CHECKING:
    from datetime import datetime

LAUNCH = re.compile(r"(^|\.)launch$")
"""the names of instance requests on SkyPilot's server: sky.launch, sky.jobs.launch"""
HIDDEN = "null"
"""what SkyPilot's server shows in place of a request's content to any user but the one who made
it"""


def pending_launches(sky: Any, cluster: str | None = None, *, of: str = "") -> list[Any]:
    """The instance requests, from anyone, that SkyPilot's server has accepted but not finished.

    Args:
        cluster: the cluster requested; None for any, and for a managed job.
        of: a text in the request, such as the job's name.
    """
    pending: list[Any] = sky.api_status(cluster_name=cluster)
    return [one for one in pending if LAUNCH.search(one.name) and of in one.request_body]


def own_launches(
    sky: Any, cluster: str | None = None, *, of: str = "", deadline_at: datetime | None = None
) -> list[Any]:
    """The requests that may belong to this launch: several laptops may share a server, and use the
    same name for the run's cluster.

    Args:
        deadline_at: the deadline of this launch, which its request names; None if unknown.
    """
    shown = [one for one in pending_launches(sky, cluster, of=of) if one.request_body != HIDDEN]
    named = [(one, deadline_named_in(one.request_body)) for one in shown]
    return [one for one, theirs in named if None in (theirs, deadline_at) or theirs == deadline_at]


def take_back(
    sky: Any, cluster: str | None = None, *, of: str = "", deadline_at: datetime | None = None
) -> None:
    """Cancels this launch's pending requests, as `own_launches` selects them.

    A killed terminal leaves its request behind, which may create an instance after a check found
    nothing.
    """
    found = own_launches(sky, cluster, of=of, deadline_at=deadline_at)
    if found:
        sky.get(sky.api_cancel([request.request_id for request in found]))


def remove_cluster(sky: Any, name: str) -> None:
    """Returns once it is gone; a cluster that SkyPilot does not know counts as gone."""
    try:
        sky.get(sky.down(name))
    except sky.exceptions.ClusterDoesNotExist:
        return
