"""SkyPilot's server on this machine, and the plugin with which it keeps your keys here."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.keys import held_back_by_plugin
from fintts_store.disk.durable import write_file

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping

MODULE = "sky.server.server"
PLUGINS = "SKYPILOT_SERVER_PLUGINS_CONFIG"
"""the variable with which SkyPilot's server finds its plugins"""
USERS_PLUGINS = "~/.sky/plugins.yaml"
"""where SkyPilot looks if the variable is not set"""
OUR_PLUGINS = ".sky/fintts/plugins.yaml"
"""below the home folder"""
PLUGIN = "fintts_cli.infra.sky.key_plugin.OwnKeyAlone"
HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


class Server(NamedTuple):
    """A server of yours that another program started."""

    process: int
    has_hub_token: bool
    """whether its environment holds a Hugging Face token"""


@contextmanager
def with_plugin() -> Generator[None]:
    """Within this context, a server that SkyPilot starts keeps your keys here, and loads your own
    plugins as well."""
    before = os.environ.get(PLUGINS)
    ours = Path.home() / OUR_PLUGINS
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
    """Raises CloudError if the user's own plugins cannot be read: SkyPilot could not load them."""
    try:
        found: dict[str, Any] = yaml.safe_load(theirs.read_bytes()) if theirs.exists() else {}
        listed: list[dict[str, Any]] = found.get("plugins") or []
        others = [one for one in listed if one["class"] != PLUGIN]
    except (OSError, AttributeError, TypeError, LookupError, yaml.YAMLError) as error:
        raise CloudError(f"{theirs} is no list of plugins", "correct or remove it") from error
    wanted = yaml.safe_dump(found | {"plugins": [*others, {"class": PLUGIN}]}).encode()
    if not ours.exists() or ours.read_bytes() != wanted:
        write_file(ours, wanted)


def refuse_copied_keys(home: Path, clouds: Collection[str]) -> None:
    """Raises CloudError if SkyPilot's server would copy more to an instance than the key of its
    own cloud, because another program started it.

    Args:
        clouds: the cloud of the instance; none if SkyPilot chooses.
    """
    server = foreign_server()
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


def foreign_server() -> Server | None:
    """Your server on this machine, if it runs without the plugin."""
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
        if environment.get(PLUGINS) != str(Path.home() / OUR_PLUGINS):
            return Server(process.pid, any(name in environment for name in HUB_TOKENS))
    return None
