"""Numbers on their way from the device to the CPU, which goes on while they are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Readings:
    """A few numbers that the device computes; `read` waits for these, but for no later work."""

    def __init__(self, values: Tensor) -> None:
        """Queues the copy of a one-dimensional tensor."""
        self._event: torch.cuda.Event | None = None
        self._here = values.detach()
        if values.device.type == "cuda":
            self._here = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._here.copy_(values.detach(), non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call] # torch: untyped
            self._event.record()

    @property
    def are_there(self) -> bool:
        """Whether `read` would return at once."""
        return self._event is None or bool(self._event.query())  # type: ignore[no-untyped-call] # torch: untyped

    def read(self) -> list[float]:
        """The numbers."""
        if self._event is not None:
            self._event.synchronize()
        return [float(number) for number in self._here.tolist()]
