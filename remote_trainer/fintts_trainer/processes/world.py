"""The processes of a run, one per GPU, and what they exchange.

Adapters are small, so training needs one sum of all gradients per step. DistributedDataParallel
overlaps the exchange of large gradients with backward, and would forbid a process without samples.
Decisions about the run (reasons to end, the state to resume from) go through CPU memory by gloo,
also where gradients go between GPUs: gloo notices at once that a process has died.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs

from fintts_store.errors import first_line
from fintts_trainer.errors import PeerLost
from fintts_trainer.tracking.tracker import END_SECONDS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

    from torch import Tensor

    from fintts_trainer.tracking.tracker import ProcessTracker

T = TypeVar("T")

PATIENCE = timedelta(hours=6)
"""for a busy process, which may fetch a large base model. A dead process is noticed sooner, and
the watchdog ends one that hangs."""


class World:
    """All processes of the run, seen from one of them; a single process exchanges nothing."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.rank: int = accelerator.process_index
        self.size: int = accelerator.num_processes
        self.device = accelerator.device
        self._trackers: tuple[ProcessTracker, ...] = ()
        self._cpu_group: dist.ProcessGroup | None = None
        if self.size > 1:
            self._cpu_group = cast(
                "dist.ProcessGroup", dist.new_group(backend="gloo", timeout=PATIENCE)
            )

    @classmethod
    def join(cls, workspace: Path) -> World:
        """Joins the others by RANK, WORLD_SIZE and MASTER_ADDR; without them the process is alone.

        Raises:
            PeerLost: the others cannot be reached.
        """
        wanted = int(os.environ.get("WORLD_SIZE", "1"))
        try:
            accelerator = Accelerator(
                cpu=wanted > 1 and not torch.cuda.is_available(),
                log_with="tensorboard",
                project_dir=str(workspace),
                kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
            )
            world = cls(accelerator)
        except dist.DistError as error:
            raise PeerLost(
                f"the processes of this run do not connect: {first_line(error)}"
            ) from None
        if world.size != wanted:  # alone, each would claim the run for itself
            raise PeerLost(f"only {world.size} of {wanted} processes of this run have connected")
        return world

    @property
    def processes_here(self) -> int:
        """The number of processes on this machine."""
        return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))

    @property
    def is_first_here(self) -> bool:
        """Whether this process is the one on its machine that watches for the cloud's notices."""
        return os.environ.get("LOCAL_RANK", "0") == "0"

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that talks to the store."""
        return self.rank == 0

    def start_trackers(self, trackers: Iterable[ProcessTracker]) -> None:
        """Starts TensorBoard and these; what `accelerator.log` gets goes to all of them."""
        self._trackers = tuple(trackers)
        self.accelerator.log_with += self._trackers
        self.accelerator.init_trackers("tensorboard")

    def leave(self, tracker_seconds: float = END_SECONDS) -> None:
        """Ends the trackers, and disconnects from the others.

        Args:
            tracker_seconds: how long each tracker may take to send its last rows.
        """
        for tracker in self._trackers:
            tracker.patience_seconds = tracker_seconds
        self.accelerator.end_training()

    def highest(self, number: int) -> int:
        """The highest value of all processes; every process must call it.

        Raises:
            PeerLost: one has ended.
        """
        if self._cpu_group is None:
            return number
        highest = torch.tensor(number)
        with _peer_errors():
            dist.all_reduce(highest, op=dist.ReduceOp.MAX, group=self._cpu_group)
        return int(highest)

    def from_first(self, value: T) -> T:
        """The first process's value; the others' values are ignored.

        Raises:
            PeerLost: one has ended.
        """
        if self._cpu_group is None:
            return value
        box = [value]
        with _peer_errors():
            dist.broadcast_object_list(box, src=0, group=self._cpu_group)
        return box[0]

    def collected(self, value: T) -> list[T]:
        """The value of each process, by rank.

        Raises:
            PeerLost: one has ended.
        """
        if self._cpu_group is None:
            return [value]
        values = [value] * self.size
        with _peer_errors():
            dist.all_gather_object(values, value, group=self._cpu_group)
        return values

    def copy_from_first(self, tensors: Sequence[Tensor]) -> None:
        """Overwrites the tensors with the first process's.

        Raises:
            PeerLost: one has ended.
        """
        if self._cpu_group is None:
            return
        for tensor in tensors:
            here = tensor.detach().cpu().contiguous()
            with _peer_errors():
                dist.broadcast(here, src=0, group=self._cpu_group)
            tensor.detach().copy_(here)

    def add_up(self, numbers: Sequence[float]) -> list[float]:
        """The sum over all processes, element by element, in float64.

        Raises:
            PeerLost: one has ended.
        """
        if self._cpu_group is None:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64)
        with _peer_errors():
            dist.all_reduce(total, group=self._cpu_group)
        return [float(number) for number in total]

    def add_up_in_place(self, tensor: Tensor) -> None:
        """Replaces a tensor on the device by its sum over all processes.

        Raises:
            PeerLost: one has ended.
        """
        if self._cpu_group is not None:
            with _peer_errors():
                dist.all_reduce(tensor)


@contextmanager
def _peer_errors() -> Generator[None]:
    """Turns torch's errors about the other processes into one sentence."""
    try:
        yield
    except RuntimeError as error:  # gloo's errors have no class of their own
        raise PeerLost(f"another process of this run has ended: {first_line(error)}") from None
