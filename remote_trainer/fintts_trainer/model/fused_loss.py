"""Cross-entropy over a wide, frozen head, without ever holding all logits at once.

The head of a text-to-speech model has up to 155,776 classes: the logits of one batch, their
logarithms and their gradient are most of a step's memory, and moving them most of the head's time.
Here each chunk of rows goes from hidden states to loss and gradient while it is at hand, as in
Liger Kernel (arXiv:2410.10989); backward only scales what forward has found.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LEAST_ROWS = 256
"""A chunk of fewer rows waits for the weights, which each chunk reads once."""

LEAST_SCORES = 2**22
"""A narrow head takes more rows, up to what a processor's cache holds: 16 MiB of float32."""


def cross_entropy_sum(
    rows: Tensor,
    weight: Tensor,
    labels: Tensor,
    low: Tensor | None = None,
    up: Tensor | None = None,
) -> Tensor:
    """Sum of the cross-entropies of `rows @ weight.T + low @ up.T`, in nats; float32.

    Equals `F.cross_entropy(logits.float(), labels, reduction="sum")`, with gradients for `rows`,
    `low` and `up`.

    Args:
        rows: hidden states [n, dim].
        weight: [classes, dim], frozen.
        labels: int64 [n].
        low: [n, rank], what an adapter has made of the rows; with `up`, or neither.
        up: the adapter's other half, [classes, rank].

    Raises:
        ValueError: the weight asks for a gradient, which is not worked out here.
    """
    if weight.requires_grad:
        raise ValueError("the fused cross-entropy has no gradient for the head's own weight")
    if low is not None and up is not None:
        low, up = low.to(rows.dtype), up.to(rows.dtype)
    is_training = torch.is_grad_enabled()
    # torch's own signature of `apply` is untyped.
    return cast("Tensor", _CrossEntropySum.apply(rows, weight, labels, low, up, is_training))  # type: ignore[no-untyped-call]


class _CrossEntropySum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weight: Tensor,
        labels: Tensor,
        low: Tensor | None,
        up: Tensor | None,
        is_training: bool,
    ) -> Tensor:
        work = _Work(rows, weight, labels, low, up)
        loss = torch.zeros((), dtype=torch.float32, device=rows.device)
        for start in range(0, len(rows), work.chunk):
            loss += work.score(slice(start, start + work.chunk), is_training=is_training)
        if is_training:
            ctx.save_for_backward(*work.gradients())
        return loss

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] # the decorator is untyped
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        saved: tuple[Tensor | None, ...] = ctx.saved_tensors
        scaled = [None if one is None else one * grad.to(one.dtype) for one in saved]
        rows, low, up = scaled
        return rows, None, None, low, up, None


class _Work:
    """The tensors that the chunks read and fill; gradients are those of the sum."""

    def __init__(
        self,
        rows: Tensor,
        weight: Tensor,
        labels: Tensor,
        low: Tensor | None,
        up: Tensor | None,
    ) -> None:
        self.rows, self.weight, self.labels, self.low, self.up = rows, weight, labels, low, up
        classes = len(weight)
        self.chunk = min(len(rows), max(LEAST_ROWS, LEAST_SCORES // classes))
        # Filled anew by each chunk: fresh memory costs a CPU as much as the arithmetic.
        self.scores = rows.new_empty(self.chunk, classes)
        self.likely = rows.new_empty(self.chunk, classes, dtype=torch.float32)
        self.rows_grad = torch.empty_like(rows)
        self.low_grad = None if low is None else torch.empty_like(low)
        self.up_grad = None if up is None else up.new_zeros(up.shape[::-1])

    def score(self, part: slice, *, is_training: bool) -> Tensor:
        """The loss of some rows; with training, their share of the gradients too."""
        rows, labels = self.rows[part], self.labels[part, None]
        scores, likely = self.scores[: len(rows)], self.likely[: len(rows)]
        torch.mm(rows, self.weight.t(), out=scores)
        if self.low is not None and self.up is not None:
            scores.addmm_(self.low[part], self.up.t())
        hit, highest = scores.gather(1, labels).float(), scores.amax(1).float()
        if scores.dtype == likely.dtype:
            torch.softmax(scores, 1, out=likely)
        else:
            # Asked for another type, softmax would make a copy of its own, in fresh memory.
            torch.softmax(likely.copy_(scores), 1, out=likely)
        # The likeliest class has 1 / classes at least: its logarithm is safe, the label's is not.
        loss = (highest - likely.amax(1).log() - hit[:, 0]).sum()
        if is_training:
            likely.scatter_add_(1, labels, likely.new_full((1, 1), -1.0).expand_as(labels))
            self._add_gradients(
                part, likely if scores.dtype == likely.dtype else scores.copy_(likely)
            )
        return loss

    def _add_gradients(self, part: slice, error: Tensor) -> None:
        """From softmax - one-hot, [rows of the part, classes]."""
        torch.mm(error, self.weight, out=self.rows_grad[part])
        if self.low is None or self.up is None or self.low_grad is None or self.up_grad is None:
            return
        torch.mm(error, self.up, out=self.low_grad[part])
        self.up_grad.addmm_(self.low[part].t(), error)

    def gradients(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Of rows, low and up."""
        up_grad = None if self.up_grad is None else self.up_grad.t()
        return self.rows_grad, self.low_grad, up_grad
