"""AdamW on the adapter, which never takes a step that is not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

BETAS = (0.9, 0.95)
EPSILON = 1e-5


class AdapterOptimizer(torch.optim.AdamW):
    """AdamW as one kernel, without weight decay.

    `found_inf` is the kernel's own switch, which gradient scalers use too: the device itself leaves
    weights and moments alone, so the CPU need not know whether the gradient is finite.
    """

    found_inf: Tensor | None = None

    def __init__(self, parameters: Iterable[torch.nn.Parameter], learning_rate: float) -> None:
        super().__init__(
            parameters, lr=learning_rate, betas=BETAS, eps=EPSILON, weight_decay=0.0, fused=True
        )

    def update(self, learning_rate: float, evidence: Tensor) -> None:
        """Changes the parameters by their gradients.

        Args:
            evidence: a number on the device; nothing changes unless it is finite.
        """
        self.found_inf = evidence.isfinite().logical_not().float()
        for group in self.param_groups:
            group["lr"] = learning_rate
        self.step()
