"""The emulated cloud's network: a bridge to which every instance is plugged.

Each instance has a network namespace by its id, with the private and the public address that EC2
gave it; from the enclosure both lead there, as they would from a laptop to a real instance.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

BRIDGE = "aws"
GATEWAY = "172.31.255.254"
"""this side of the bridge; AWS's services are here"""
METADATA = "169.254.169.254"
INTERNET = "8.8.8.8"
"""what SkyPilot's jobs controller asks, over HTTPS, whether the network is up"""
NAMESPACES = Path("/run/netns")


def raise_bridge() -> None:
    _ip("link", "add", "name", BRIDGE, "type", "bridge")
    for address in (GATEWAY, METADATA, INTERNET):
        _ip("address", "add", f"{address}/32", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")


def remove_bridge() -> None:
    _ip("link", "delete", BRIDGE)
    # `ip netns` mounts this folder over itself and leaves it so.
    if f" {NAMESPACES} " in Path("/proc/self/mounts").read_text():
        subprocess.run(["umount", NAMESPACES], check=True)


def plug(instance_id: str, addresses: Iterable[str]) -> None:
    """Makes the namespace of the instance and gives it its addresses."""
    wire = _wire(instance_id)
    inside = ("-netns", instance_id)
    _ip("netns", "add", instance_id)
    _ip("link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", instance_id)
    _ip("link", "set", wire, "master", BRIDGE, "up")
    _ip(*inside, "link", "set", "eth0", "up")
    for address in addresses:
        _ip(*inside, "address", "add", f"{address}/32", "dev", "eth0")
        _ip("route", "add", f"{address}/32", "dev", BRIDGE)
    _ip(*inside, "route", "add", GATEWAY, "dev", "eth0")
    _ip(*inside, "route", "add", "default", "via", GATEWAY)


def unplug(instance_id: str, addresses: Iterable[str]) -> None:
    """Takes the namespace away; packets to the instance are lost from now on."""
    for address in addresses:
        _ip("route", "delete", f"{address}/32", "dev", BRIDGE)
    _ip("link", "delete", _wire(instance_id))
    _ip("netns", "delete", instance_id)


def _wire(instance_id: str) -> str:
    """A name for the bridge's end of the cable; Linux allows 15 characters."""
    return f"v-{instance_id[-12:]}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
