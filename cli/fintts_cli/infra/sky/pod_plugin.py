"""A plugin for SkyPilot's server: a spot pod that was outbid is replaced.

RunPod calls such a pod EXITED, goes on billing its disk, and lists it. SkyPilot 0.14.1 does not
know the word and can say nothing of the pod (`sky/provision/runpod/instance.py: query_instances`),
so its controller keeps asking. A pod that is PAUSED it removes and replaces.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from sky.provision.runpod import utils
from sky.server.plugins import BasePlugin, ExtensionContext, PluginContext

if TYPE_CHECKING:
    from collections.abc import Callable

    Pods = dict[str, dict[str, Any]]

WORDS = {"EXITED": "PAUSED", "DEAD": "PAUSED"}
"""RunPod's word → the nearest one that SkyPilot knows"""
GONE = "TERMINATED"


class OutbidPods(BasePlugin):
    """Translates the states of pods for SkyPilot."""

    load_contexts = frozenset({PluginContext.EXECUTOR, PluginContext.CONTROLLER})

    def install(self, extension_context: ExtensionContext) -> None:
        del extension_context
        utils.list_instances = in_known_words(utils.list_instances)


def in_known_words(usual: Callable[[], Pods]) -> Callable[[], Pods]:
    """SkyPilot's list of pods, in words that it knows."""

    @functools.wraps(usual)
    def list_instances() -> Pods:
        return {
            pod: one | {"status": WORDS.get(one["status"], one["status"])}
            for pod, one in usual().items()
            if one["status"] != GONE
        }

    return list_instances
