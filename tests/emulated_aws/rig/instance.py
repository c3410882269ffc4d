"""One running instance: namespaces over a disk of its own, with its own sshd."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from as_aws import write_rules
from rig import network, processes
from rig.namespaces import SYSTEM_PATH, dying_with_parent, unshare
from rig.wanted import Wanted

BOOT = Path(__file__).with_name("boot.sh")
CERTIFICATE = "/etc/ssl/emulated.pem"
"""on an instance: of the authority that vouches for the emulated internet"""
INTERNET = {
    "REQUESTS_CA_BUNDLE": CERTIFICATE,
    "SSL_CERT_FILE": CERTIFICATE,
    "AWS_DATA_PATH": "/opt/aws",
}
"""variables of every instance: whom it trusts, and the rules by which boto3 finds AWS's S3"""
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""OpenMP's threads spin while they wait for each other, and instances share this machine's cores"""


@dataclass(frozen=True)
class Machine:
    """What instances are made of."""

    image: Path
    """the disk as it is when they boot"""
    packages: Path
    """the trainer's, mounted read-only"""
    disk_size: str
    """as mount's tmpfs takes it"""
    certificate: Path
    """of the authority that vouches for the emulated internet"""


class Instance:
    """Boots as it is made; `destroy` leaves nothing of it."""

    def __init__(self, wanted: Wanted, machine: Machine, folder: Path) -> None:
        """`folder` is for consoles and mount points."""
        self.id = wanted.id
        self._addresses = wanted.addresses
        network.plug(self.id, self._addresses)
        disk = folder / self.id
        _lay_out(wanted, machine, disk)
        with disk.with_suffix(".console").open("ab") as console:
            self._process = subprocess.Popen(
                dying_with_parent(
                    *("ip", "netns", "exec", self.id),
                    *unshare("ipc", "uts"),
                    *("bash", str(BOOT), str(disk)),
                ),
                cwd="/",
                env=_settings(wanted, machine) | {"PATH": SYSTEM_PATH},
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


def _settings(wanted: Wanted, machine: Machine) -> dict[str, str]:
    """The variables of boot.sh."""
    return {
        "SIZE": machine.disk_size,
        "IMAGE": str(machine.image),
        "PACKAGES": str(machine.packages),
        "CERTIFICATE": str(machine.certificate),
        "NAME": wanted.name,
        "LOGIN": wanted.user,
        "PORTS": " ".join(map(str, wanted.ssh_ports)),
    }


def _lay_out(wanted: Wanted, machine: Machine, disk: Path) -> None:
    """Writes the files that boot.sh reads, beside the disk's mount point.

    One that was off may boot again, with a new disk.
    """
    disk.mkdir(parents=True, exist_ok=True)
    environment = INTERNET | ONE_THREAD | dict(wanted.environment)
    variables = (f"{name}={value}" for name, value in environment.items())
    _write_lines(disk.with_suffix(".keys"), wanted.public_keys)
    _write_lines(disk.with_suffix(".runcmd"), wanted.first_commands)
    _write_lines(disk.with_suffix(".env"), variables)
    _write_lines(disk.with_suffix(".hosts"), network.hosts("localhost", wanted.name))
    if wanted.command is not None:
        _write_lines(disk.with_suffix(".command"), [wanted.command])
    rules = disk.with_suffix(".rules")
    if not rules.exists():
        write_rules(rules, network.AWS_URL)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))
