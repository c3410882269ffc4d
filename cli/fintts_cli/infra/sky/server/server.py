"""SkyPilot's server on this machine: whether it copies more of your keys than an instance needs."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import yaml

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.server.keys import held_back_by_plugin
from fintts_cli.infra.sky.server.plugins import OUR_PLUGINS, PLUGINS
from fintts_cli.infra.sky.server.session import SERVER

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

MODULE = "sky.server.server"
HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


class Server(NamedTuple):
    """A server of yours that another program started."""

    process: int
    has_hub_token: bool
    """whether its environment holds a Hugging Face token"""


def refuse_copied_keys(home: Path, clouds: Collection[str]) -> None:
    """Raises CloudError if SkyPilot's server would copy more to an instance than the key of its
    own cloud, because another program started it.

    Args:
        clouds: the cloud of the instance; none if SkyPilot chooses.
    """
    server = None if _is_elsewhere(home) else _foreign_server(home)
    if server is None:
        return
    copied = held_back_by_plugin(home, clouds)
    if server.has_hub_token:
        copied.append("a Hugging Face token")
    if copied:
        raise CloudError(
            f"SkyPilot's server (process {server.process}) was started by another program, and "
            f"would copy {', '.join(copied)} to the instance",
            "run `sky api stop`: the next `fintts` command starts a server that does not",
        )


def _is_elsewhere(home: Path) -> bool:
    """Whether you use a server on another machine, whose owner decides what is copied."""
    if os.environ.get(SERVER):
        return True
    try:
        settings = yaml.safe_load((home / ".sky" / "config.yaml").read_text(encoding="utf-8"))
        return bool(settings["api_server"]["endpoint"])
    except (OSError, UnicodeError, yaml.YAMLError, LookupError, TypeError):
        return False


def _foreign_server(home: Path) -> Server | None:
    """Your server on this machine, if it runs without the plugins."""
    if find_spec("psutil") is None:
        return None
    import psutil  # installed with SkyPilot

    for process in psutil.process_iter(["cmdline"]):
        if MODULE not in (process.info["cmdline"] or ()):
            continue
        try:
            environment: Mapping[str, str] = process.environ()
        except psutil.Error:  # it has ended, or belongs to someone else
            continue
        if environment.get("HOME") != os.environ.get("HOME"):
            continue  # another user's, or that of another enclosure
        if environment.get(PLUGINS) != str(home / OUR_PLUGINS):
            return Server(process.pid, any(name in environment for name in HUB_TOKENS))
    return None
