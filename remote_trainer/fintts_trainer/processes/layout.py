"""How many machines and processes a run has, and which of them this is."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_trainer.errors import BadProcessLayout

if TYPE_CHECKING:
    from collections.abc import Mapping

PROCESSES, GPUS = "FINTTS_PROCESSES", "SKYPILOT_NUM_GPUS_PER_NODE"
HERE = "127.0.0.1"
MASTER_PORT = "29500"
"""between machines, which reach all of each other's ports, unless MASTER_PORT is set; a single
machine takes any free port"""


@dataclass(frozen=True, slots=True)
class ProcessLayout:
    """The number of machines of a run, the number of processes on each, and which machine this is.

    Attributes:
        processes: on each machine.
        nodes: machines.
        node_rank: of this machine, from 0.
        first_address: of the machine with rank 0.
    """

    processes: int = 1
    nodes: int = 1
    node_rank: int = 0
    first_address: str = HERE

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ProcessLayout:
        """Reads SkyPilot's SKYPILOT_NUM_GPUS_PER_NODE, _NUM_NODES, _NODE_RANK and _NODE_IPS.

        FINTTS_PROCESSES overrides the number of processes on a machine; without either it is 1.

        Raises:
            BadProcessLayout: the values contradict each other or are out of range.
        """
        addresses = environment.get("SKYPILOT_NODE_IPS", "").split()
        layout = cls(
            # A machine without GPUs trains too: SkyPilot says 0 there.
            processes=_number(environment, PROCESSES, _number(environment, GPUS, 1) or 1),
            nodes=_number(environment, "SKYPILOT_NUM_NODES", 1),
            node_rank=_number(environment, "SKYPILOT_NODE_RANK", 0),
            first_address=addresses[0] if addresses else HERE,
        )
        if layout.processes < 1 or layout.node_rank >= layout.nodes:
            raise BadProcessLayout(
                f"{layout.processes} processes on machine {layout.node_rank} of {layout.nodes} "
                "cannot be started",
                f"{PROCESSES} must be 1 or more",
            )
        return layout

    @property
    def size(self) -> int:
        """Processes on all machines."""
        return self.processes * self.nodes

    @property
    def has_first(self) -> bool:
        """Whether the process that talks to the store is on this machine."""
        return self.node_rank == 0

    def rank(self, local_rank: int) -> int:
        """The rank among all processes of one on this machine."""
        return self.node_rank * self.processes + local_rank

    def environment_of(self, local_rank: int, port: str) -> dict[str, str]:
        """The variables that torch.distributed reads. The cores are divided, with one left to the
        uploader, unless OMP_NUM_THREADS is set. A single process needs no address."""
        if self.size == 1:
            return dict(os.environ)
        cores = max(1, ((os.cpu_count() or 1) - 1) // self.processes)
        return {
            "OMP_NUM_THREADS": str(cores),
            **os.environ,
            "MASTER_ADDR": self.first_address if self.nodes > 1 else HERE,
            "MASTER_PORT": port,
            "WORLD_SIZE": str(self.size),
            "RANK": str(self.rank(local_rank)),
            "LOCAL_WORLD_SIZE": str(self.processes),
            "LOCAL_RANK": str(local_rank),
        }


def is_first_machine(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this machine writes how the run ended."""
    return environment.get("SKYPILOT_NODE_RANK", "").strip() in ("", "0")


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "").strip()
    if text and not text.isdecimal():
        raise BadProcessLayout(f"{name} is {text!r}, but must be a number", f"unset {name}")
    return int(text) if text else default


def free_port() -> int:
    """A port of this machine that no process listens on now."""
    with socket.socket() as listener:
        listener.bind((HERE, 0))
        port: int = listener.getsockname()[1]
        return port
