"""SkyPilot's server on this machine: whether it could copy a Hugging Face token to an instance."""

from __future__ import annotations

import os
from importlib.util import find_spec

from fintts_cli.infra.sky.session import HUB_OFFLINE, HUB_TOKENS

MODULE = "sky.server.server"
YES = frozenset({"1", "on", "yes", "true"})
"""what huggingface_hub takes for yes, in any case"""


def server_that_asks_the_hub() -> int | None:
    """The process of a server of yours that copies your Hugging Face token to every instance; None
    if there is none.

    `fintts` starts SkyPilot's server so that it does not; another program may have started it.
    """
    if find_spec("psutil") is None:
        return None
    import psutil  # installed with SkyPilot

    for process in psutil.process_iter(["cmdline"]):
        if MODULE not in (process.info["cmdline"] or ()):
            continue
        try:
            environment = process.environ()
        except psutil.Error:  # it has ended, or belongs to someone else
            continue
        if environment.get("HOME") != os.environ.get("HOME"):
            continue  # another user's, or that of another enclosure
        is_offline = environment.get(HUB_OFFLINE, "").lower() in YES
        if not is_offline or any(name in environment for name in HUB_TOKENS):
            return process.pid
    return None
