"""The requests for instances that SkyPilot's server has accepted and not finished."""

from __future__ import annotations

import re
from typing import Any

LAUNCH = re.compile(r"(^|\.)launch$")
"""the names of instance requests on SkyPilot's server: sky.launch, sky.jobs.launch"""


def pending_launches(sky: Any, cluster: str | None = None, *, of: str = "") -> list[Any]:
    """The instance requests, from anyone, that SkyPilot's server has accepted but not finished.

    Args:
        cluster: the cluster requested; None for any, and for a managed job.
        of: a text in the request, such as the job's name.
    """
    pending: list[Any] = sky.api_status(cluster_name=cluster)
    return [one for one in pending if LAUNCH.search(one.name) and of in one.request_body]
