"""A plugin for SkyPilot's server: RunPod itself ends our pods, and one that was outbid is replaced.

RunPod takes the moment when it removes a pod with the order, and SkyPilot 0.14.1 gives it none on
demand. A pod of a launch that was cut off before its end was armed then ends all the same.

RunPod calls such a pod EXITED, goes on billing its disk, and lists it. SkyPilot 0.14.1 does not
know the word (`sky/provision/runpod/instance.py: query_instances`) and takes it for an error of its
own: it waits longer before each replacement, and gives up after ten. A pod that is PAUSED it
replaces at once.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from sky.adaptors import runpod
from sky.provision.runpod import utils
from sky.server.plugins import BasePlugin, ExtensionContext, PluginContext

from fintts_cli.infra.labels import PREFIX
from fintts_cli.infra.sky.ending.power_off import LONGEST_RESERVE
from fintts_cli.infra.sky.rentals.record import NAME_ENDING, deadline_in
from fintts_cli.wording import iso_second

if TYPE_CHECKING:
    from collections.abc import Callable

    Listing = dict[str, dict[str, Any]]

WORDS = {"EXITED": "PAUSED", "DEAD": "PAUSED"}
"""RunPod's word → the nearest one that SkyPilot knows"""
GONE = "TERMINATED"


class Pods(BasePlugin):
    """Changes how SkyPilot orders and lists pods."""

    load_contexts = frozenset({PluginContext.EXECUTOR, PluginContext.CONTROLLER})

    def install(self, extension_context: ExtensionContext) -> None:
        del extension_context
        utils.list_instances = _in_known_words(utils.list_instances)
        utils.launch = _with_ends(utils.launch)


def _in_known_words(usual: Callable[[], Listing]) -> Callable[[], Listing]:
    """SkyPilot's list of pods, in words that it knows."""

    @functools.wraps(usual)
    def list_instances() -> Listing:
        return {
            pod: one | {"status": WORDS.get(one["status"], one["status"])}
            for pod, one in usual().items()
            if one["status"] != GONE
        }

    return list_instances


def _with_ends(usual: Callable[..., str]) -> Callable[..., str]:
    """The order of a pod. RunPod's library is imported for the first one."""

    @functools.wraps(usual)
    def launch(*given: Any, **named: Any) -> str:
        orders = runpod.runpod.api.mutations.pods
        if not hasattr(orders.generate_pod_deployment_mutation, "__wrapped__"):
            text = orders.generate_pod_deployment_mutation
            orders.generate_pod_deployment_mutation = _with_end(text)
        return usual(*given, **named)

    return launch


def _with_end(usual: Callable[..., str]) -> Callable[..., str]:
    """RunPod's text of an order, with the end of a pod whose name holds a deadline."""

    @functools.wraps(usual)
    def generate_pod_deployment_mutation(name: str, *given: Any, **named: Any) -> str:
        order = usual(name, *given, **named)
        deadline_at = deadline_in(NAME_ENDING.sub("", name)) if name.startswith(PREFIX) else None
        if deadline_at is None:
            return order
        ends_at = iso_second(deadline_at + LONGEST_RESERVE)
        return order.replace("input: {", f'input: {{ terminateAfter: "{ends_at}"', 1)

    return generate_pod_deployment_mutation
