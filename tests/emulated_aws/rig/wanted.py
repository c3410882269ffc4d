"""What a cloud wants to be running: all that the hypervisor has to know of an instance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Wanted:
    """An instance that its cloud calls running."""

    id: str
    name: str
    """its host name"""
    addresses: tuple[str, ...]
    public_keys: tuple[str, ...] = ()
    """of whoever may log in"""
    user: str = "ubuntu"
    """whom SkyPilot logs in as: ubuntu or root"""
    ssh_ports: tuple[int, ...] = (22,)
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """of whoever logs in, and of a container's command"""
    first_commands: tuple[str, ...] = ()
    """what cloud-init runs as root at the end of the first boot"""
    command: str | None = None
    """a container's, which starts an SSH server itself; without one that is the first process"""


class Door(Protocol):
    """A cloud's API seen from behind, by the hypervisor."""

    def wanted(self) -> Iterable[Wanted]:
        """What the API calls running now."""
        ...

    def note_power_off(self, instance_id: str) -> None:
        """One of them has powered itself off."""
        ...
