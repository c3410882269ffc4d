"""A plugin for SkyPilot's server: an instance of a run gets the key of its own cloud alone.

SkyPilot 0.14.1 copies the keys of every cloud to every instance, enabled or not, and a Hugging Face
token (`sky/check.py: get_cloud_credential_file_mounts`). `plugins.with_plugins` makes a server that
`fintts` starts load this module. It changes nothing for clusters of other programs.
"""

from __future__ import annotations

import functools
import inspect
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sky import check, clouds
from sky.backends import backend_utils
from sky.server.plugins import BasePlugin, ExtensionContext, PluginContext

from fintts_cli.infra.labels import PREFIX
from fintts_cli.infra.sky.server.keys import is_key_of_another, stays_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Mounts = dict[str, str]
    """path on the instance → path here"""

_rented_from: ContextVar[Any] = ContextVar("_rented_from", default=None)
"""the cloud of the instance of ours that is being requested"""


class OwnKeyAlone(BasePlugin):
    """Replaces what decides which keys go to an instance."""

    load_contexts = frozenset({PluginContext.EXECUTOR, PluginContext.CONTROLLER})

    def install(self, extension_context: ExtensionContext) -> None:
        del extension_context
        config: Any = backend_utils
        config.write_cluster_config = _noting_the_cloud(config.write_cluster_config)
        usual = check.get_cloud_credential_file_mounts
        check.get_cloud_credential_file_mounts = _own_key_alone(usual)


def _noting_the_cloud(usual: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(usual)
    def write_cluster_config(*given: Any, **named: Any) -> Any:
        asked = inspect.signature(usual).bind(*given, **named).arguments
        is_ours = asked["cluster_name"].startswith(PREFIX)
        token = _rented_from.set(asked["to_provision"].cloud if is_ours else None)
        try:
            return usual(*given, **named)
        finally:
            _rented_from.reset(token)

    return write_cluster_config


def _own_key_alone(usual: Callable[..., Mounts]) -> Callable[..., Mounts]:
    @functools.wraps(usual)
    def get_cloud_credential_file_mounts(excluded_clouds: Iterable[Any] | None) -> Mounts:
        cloud = _rented_from.get()
        return usual(excluded_clouds) if cloud is None else own_key(cloud, excluded_clouds)

    return get_cloud_credential_file_mounts


def own_key(cloud: Any, excluded_clouds: Iterable[Any] | None) -> Mounts:
    """What an instance on this cloud gets. A setting of the user may exclude the cloud."""
    name = str(cloud).lower()
    if stays_here(name) or clouds.cloud_in_iterable(cloud, excluded_clouds or ()):
        return {}
    paths = {there: Path(here).expanduser() for there, here in _mounts(cloud).items()}
    return {
        there: str(here.resolve())
        for there, here in paths.items()
        if here.exists() and not is_key_of_another(here, name)
    }


def _mounts(cloud: Any) -> Mounts:
    found: Mounts = cloud.get_credential_file_mounts()
    return found
