"""The plugins that SkyPilot's server loads when `fintts` starts it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from fintts_cli.workplace.state_folder import home_folder
from fintts_store.disk.durable import write_file

if TYPE_CHECKING:
    from collections.abc import Generator

PLUGINS = "SKYPILOT_SERVER_PLUGINS_CONFIG"
"""the variable with which SkyPilot's server finds its plugins"""
USERS_PLUGINS = "~/.sky/plugins.yaml"
"""where SkyPilot looks if the variable is not set"""
OUR_PLUGINS = ".sky/fintts/plugins.yaml"
"""below the home folder"""
CLASSES = (
    "fintts_cli.infra.sky.server.key_plugin.OwnKeyAlone",
    "fintts_cli.infra.sky.server.pod_plugin.Pods",
)


@contextmanager
def with_plugins() -> Generator[None]:
    """Within this context, a server that SkyPilot starts loads these plugins, and your own.

    Raises ValueError: your own list cannot be read, so SkyPilot could not load it.
    """
    before = os.environ.get(PLUGINS)
    ours = home_folder() / OUR_PLUGINS
    _write_plugins(ours, Path(before or USERS_PLUGINS).expanduser())
    os.environ[PLUGINS] = str(ours)
    try:
        yield
    finally:
        if before is None:
            del os.environ[PLUGINS]
        else:
            os.environ[PLUGINS] = before


def _write_plugins(ours: Path, theirs: Path) -> None:
    try:
        found: dict[str, Any] = yaml.safe_load(theirs.read_bytes()) if theirs.exists() else {}
        listed: list[dict[str, Any]] = found.get("plugins") or []
        others = [one for one in listed if one["class"] not in CLASSES]
    except (OSError, AttributeError, TypeError, LookupError, yaml.YAMLError) as error:
        raise ValueError(f"{theirs} is not a list of plugins") from error
    every = [*others, *({"class": name} for name in CLASSES)]
    wanted = yaml.safe_dump(found | {"plugins": every}).encode()
    if not ours.exists() or ours.read_bytes() != wanted:
        write_file(ours, wanted)
