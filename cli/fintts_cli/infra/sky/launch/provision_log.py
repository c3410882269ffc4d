"""What SkyPilot wrote for itself while it asked a cloud for an instance.

Where SkyPilot fails to clean up what was never there, its error and its output name no reason; the
cloud's own words are in this log alone.
"""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

MOST_LINES = 400
MOST_CHARACTERS = 400_000


def provision_log(sky: Any, cluster: str) -> str:
    """The last lines of the cluster's newest launch; empty if SkyPilot has none."""
    stream = io.StringIO()
    with suppress(Exception):  # SkyPilot may fail in any way; then the reason stays unknown
        sky.tail_provision_logs(cluster, follow=False, tail=MOST_LINES, output_stream=stream)
    return stream.getvalue()[-MOST_CHARACTERS:]
