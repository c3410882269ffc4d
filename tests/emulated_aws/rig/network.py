"""The emulated clouds' network: a bridge to which every instance is plugged.

Each instance has a network namespace by its id, with the addresses that its cloud gave it; from the
enclosure all lead there, as they would from a laptop to a real instance.
"""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterable
from pathlib import Path

BRIDGE = "aws"
GATEWAY = "172.31.255.254"
"""this side of the bridge; the clouds' services are here"""
AWS_PORT = 5000
AWS_URL = f"http://{GATEWAY}:{AWS_PORT}"
"""of S3, EC2 and all other services, from the enclosure and from an instance"""
CONSOLE_PORT = 5001
NAMES = (
    "api.verda.com",
    "api.runpod.io",
    "rest.runpod.io",
    "cloud.lambdalabs.com",
    "huggingface.co",
)
"""what the emulated internet answers to, over HTTPS; all of them lead to this side of the bridge"""
METADATA = "169.254.169.254"
INTERNET = "8.8.8.8"
"""what SkyPilot's jobs controller asks, over HTTPS, whether the network is up"""
NAMESPACES = Path("/run/netns")


_numbers = itertools.count()


def new_address() -> str:
    """A public one, from a block that belongs to nobody; each is given once."""
    high, low = divmod(next(_numbers), 250)
    return f"198.18.{high}.{low + 1}"


def hosts(*own: str) -> list[str]:
    """The lines of /etc/hosts on a machine with these names."""
    return [f"127.0.0.1 {' '.join(own)}", f"{GATEWAY} {' '.join(NAMES)}"]


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
