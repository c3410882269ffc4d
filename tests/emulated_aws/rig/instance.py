"""One running instance: namespaces over a disk of its own, with its own sshd."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from as_aws import write_rules
from rig import network, processes
from rig.namespaces import SYSTEM_PATH, dying_with_parent, unshare

if TYPE_CHECKING:
    from moto.ec2.models.instances import Instance as MotoInstance

BOOT = Path(__file__).with_name("boot.sh")
PUBLIC_KEY = re.compile(r"ssh-(?:rsa|ed25519) \S+")


@dataclass(frozen=True)
class Machine:
    """What instances are made of."""

    image: Path
    """the disk as it is when they boot"""
    packages: Path
    """the trainer's, mounted read-only"""
    disk_size: str
    """as mount's tmpfs takes it"""
    endpoint_url: str


class Instance:
    """Boots as it is made; `destroy` leaves nothing of it."""

    def __init__(self, asked: MotoInstance, machine: Machine, folder: Path) -> None:
        """Takes the addresses and the SSH key of what EC2 was asked for; `folder` is for consoles
        and mount points."""
        self.id = asked.id
        self._addresses = [ip for ip in (asked.private_ip, asked.public_ip) if ip]
        network.plug(self.id, self._addresses)
        disk = folder / self.id
        disk.mkdir(parents=True)
        disk.with_suffix(".keys").write_text("\n".join(_public_keys(asked)) + "\n")
        disk.with_suffix(".runcmd").write_text("\n".join(_first_commands(asked)) + "\n")
        name = f"ip-{self._addresses[0].replace('.', '-')}"
        rules = write_rules(disk.with_suffix(".rules"), machine.endpoint_url)
        arguments = [machine.disk_size, machine.image, machine.packages, name, machine.endpoint_url]
        arguments.append(rules)
        boot = ["bash", str(BOOT), str(disk), *map(str, arguments)]
        with disk.with_suffix(".console").open("wb") as console:
            self._process = subprocess.Popen(
                dying_with_parent("ip", "netns", "exec", self.id, *unshare("ipc", "uts"), *boot),
                cwd="/",
                env={"PATH": SYSTEM_PATH},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        disk.with_suffix(".pid").write_text(str(self._process.pid))

    @property
    def is_off(self) -> bool:
        """Whether it has powered itself off."""
        return self._process.poll() is not None

    def destroy(self) -> None:
        """Kills all of it, and only then its network: whoever is connected sees the end."""
        if not self.is_off:
            first = processes.child_of(self._process.pid)
            # The first process of a PID namespace is gone when all others are.
            os.kill(first or self._process.pid, signal.SIGKILL)
        self._process.wait()
        network.unplug(self.id, self._addresses)


def _public_keys(asked: MotoInstance) -> list[str]:
    """SkyPilot's, from the instance's user data, where cloud-init would read it."""
    return PUBLIC_KEY.findall(asked.user_data.decode()) if asked.user_data else []


def _first_commands(asked: MotoInstance) -> list[str]:
    """What cloud-init would run as root at the end of the first boot: `runcmd` of the user data."""
    if not asked.user_data:
        return []
    content = yaml.safe_load(asked.user_data.decode()) or {}  # none comes as an empty text
    return [str(command) for command in content.get("runcmd", [])]
