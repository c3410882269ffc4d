"""A link that is slow for real: a network namespace behind a veth pair, whose way out `tc tbf`
holds to a rate. Only root may make one (Debian: iproute2, util-linux).

The namespace has no name. It lives as long as a process in it, and that one ends with this process,
however that ends: nothing is left behind that somebody would have to remove.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BURST = "16kb"
"""goes at full speed; a larger packet would never pass"""
LONGEST_QUEUE = "200ms"
"""What waits longer is dropped, and TCP slows down: else a heartbeat waits behind a checkpoint."""
OUTSIDE, INSIDE = 1, 2


@dataclass(frozen=True)
class SlowLink:
    """Both ends of the link; what is sent from within is slow, answers are not."""

    address: str
    """of this end: what listens here can be reached from within"""
    namespace: str

    def within(self, *command: str) -> list[str]:
        """The command, run at the far end; it is replaced by it, so signals arrive."""
        return ["nsenter", f"--net={self.namespace}", *command]

    def set_rate(self, rate: str) -> None:
        """As tc has it: `400kbit`."""
        shape = ("tbf", "rate", rate, "burst", BURST, "latency", LONGEST_QUEUE)
        _call(*self.within("tc", "qdisc", "replace", "dev", "eth0", "root", *shape))


@contextmanager
def slow_link(rate: str) -> Iterator[SlowLink]:
    """The link is there for as long as the block lasts.

    Args:
        rate: of what is sent from within, as tc has it: `400kbit`.
    """
    # cat ends when its standard input does, which this process alone holds open.
    with subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE) as holder:
        try:
            _await_own_namespace(holder)
            link = SlowLink(_address(OUTSIDE), f"/proc/{holder.pid}/ns/net")
            _plug(link, holder.pid)
            link.set_rate(rate)
            yield link
        finally:
            # The kernel takes the pair away with the namespace, but not at once.
            subprocess.run(["ip", "link", "delete", _name()], check=False, capture_output=True)
            holder.kill()


def _await_own_namespace(holder: subprocess.Popen[bytes]) -> None:
    mine = Path("/proc/self/ns/net").readlink()
    while Path(f"/proc/{holder.pid}/ns/net").readlink() == mine:
        if holder.poll() is not None:
            raise RuntimeError("no network namespace can be made here: that takes root")


def _plug(link: SlowLink, pid: int) -> None:
    name = _name()
    _call("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    _call("ip", "address", "add", f"{link.address}/30", "dev", name)
    _call("ip", "link", "set", name, "up")
    _call(*link.within("ip", "address", "add", f"{_address(INSIDE)}/30", "dev", "eth0"))
    for device in ("lo", "eth0"):
        _call(*link.within("ip", "link", "set", device, "up"))


def _name() -> str:
    """Of this end; another test session has another one."""
    return f"slow-{os.getpid()}"


def _address(end: int) -> str:
    """Four addresses for each process, of those that are set apart for tests of networks."""
    number = (os.getpid() % (1 << 15)) * 4 + end
    return f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
