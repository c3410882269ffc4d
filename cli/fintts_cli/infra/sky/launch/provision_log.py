"""What SkyPilot wrote for itself while it asked a cloud for an instance.

Where SkyPilot fails to clean up what was never there, its error and its output name no reason; the
cloud's own words are in this log alone. Those to a managed job are in the log of its controller.
"""

from __future__ import annotations

import io
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from fintts_cli.infra.sky.server.errors import ANSI
from fintts_cli.timed_call import TimedCall

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_LINES = 400
MOST_CHARACTERS = 400_000
WITHIN_SECONDS = 20.0


def provision_log(sky: Any, cluster: str, within_seconds: float = WITHIN_SECONDS) -> str:
    """The last lines of the cluster's newest launch, without colours; empty if SkyPilot has none,
    or does not answer in time."""
    return _last_lines(partial(sky.tail_provision_logs, cluster), within_seconds)


def controller_log(sky: Any, job_id: int, within_seconds: float = WITHIN_SECONDS) -> str:
    """The same of a managed job's controller, which also tells what it did after a launch."""
    return _last_lines(partial(sky.jobs.tail_logs, job_id=job_id, controller=True), within_seconds)


def _last_lines(tail: Callable[..., object], within_seconds: float) -> str:
    stream = io.StringIO()

    def read() -> str:
        tail(follow=False, tail=MOST_LINES, output_stream=stream)
        return ANSI.sub("", stream.getvalue()[-MOST_CHARACTERS:])

    with suppress(Exception):  # SkyPilot may fail in any way; then the reason stays unknown
        return TimedCall("SkyPilot", read, within_seconds).result()
    return ""
