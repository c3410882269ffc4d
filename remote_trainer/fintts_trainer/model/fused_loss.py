"""Cross-entropy over a wide, frozen head, without holding all logits at once.

The head of a text-to-speech model has up to 155,776 classes: the logits of one batch, their
logarithms and their gradient take most of a step's memory, and moving them takes most of the
head's time. Forward therefore computes loss and gradient chunk by chunk, as Liger Kernel does
(arXiv:2410.10989); backward only scales the stored gradients.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LEAST_ROWS = 256
"""Rows of a chunk at least: each chunk reads all weights once, which dominates for fewer rows."""

LEAST_SCORES = 2**22
"""Scores of a chunk at least: a narrow head takes more rows, up to 16 MiB of float32, the size of
a processor's cache."""

LEAST_ROWS_ON_GPU, LEAST_SCORES_ON_GPU = 1024, 2**26
"""A GPU needs as many rows to be busy, and launches some fifteen kernels for each chunk."""


def cross_entropy_sum(
    rows: Tensor,
    weight: Tensor,
    labels: Tensor,
    low: Tensor | None = None,
    up: Tensor | None = None,
    rows_at_once: int | None = None,
) -> Tensor:
    """Sum of the cross-entropies of `rows @ weight.T + low @ up.T`, in nats; float32.

    Equals `F.cross_entropy(logits.float(), labels, reduction="sum")`, with gradients for `rows`,
    `low` and `up`.

    Args:
        rows: hidden states [n, dim].
        weight: [classes, dim], frozen.
        labels: int64 [n].
        low: [n, rank], scale · rows Aᵀ of an adapter; None without one.
        up: B of that adapter, [classes, rank]; None without one.
        rows_at_once: the rows of a chunk; None: as many as `rows_of_chunk` says.

    Raises:
        ValueError: the weight requires a gradient, which this function does not compute.
    """
    if weight.requires_grad:
        raise ValueError("the fused cross-entropy has no gradient for the head's own weight")
    if low is not None and up is not None:
        low, up = low.to(rows.dtype), up.to(rows.dtype)
    is_training = torch.is_grad_enabled()
    size = rows_at_once or rows_of_chunk(rows.device.type, len(weight))
    # torch's own signature of `apply` is untyped.
    return cast("Tensor", _CrossEntropySum.apply(rows, weight, labels, low, up, size, is_training))  # type: ignore[no-untyped-call]


class _CrossEntropySum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weight: Tensor,
        labels: Tensor,
        low: Tensor | None,
        up: Tensor | None,
        size: int,
        is_training: bool,
    ) -> Tensor:
        chunks = _Chunks(rows, weight, labels, low, up, min(len(rows), size))
        loss = torch.zeros((), dtype=torch.float32, device=rows.device)
        for start in range(0, len(rows), size):
            loss += chunks.loss(slice(start, start + size), is_training=is_training)
        if is_training:
            ctx.save_for_backward(*chunks.gradients())
        return loss

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] # the decorator is untyped
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        saved: tuple[Tensor | None, ...] = ctx.saved_tensors
        scaled = [None if one is None else one * grad.to(one.dtype) for one in saved]
        rows, low, up = scaled
        return rows, None, None, low, up, None, None


def rows_of_chunk(device_type: str, classes: int) -> int:
    """Rows that are computed at once."""
    if device_type == "cpu":
        return max(LEAST_ROWS, LEAST_SCORES // classes)
    return max(LEAST_ROWS_ON_GPU, LEAST_SCORES_ON_GPU // classes)


class _Chunks:
    """The tensors that the chunks read and fill; gradients are those of the summed loss."""

    def __init__(
        self,
        rows: Tensor,
        weight: Tensor,
        labels: Tensor,
        low: Tensor | None,
        up: Tensor | None,
        size: int,
    ) -> None:
        self.rows, self.weight, self.labels, self.low, self.up = rows, weight, labels, low, up
        classes = len(weight)
        # All chunks share these buffers: fresh memory costs a CPU as much as the arithmetic.
        self.scores = rows.new_empty(size, classes)
        self.probabilities = rows.new_empty(size, classes, dtype=torch.float32)
        self.rows_grad = torch.empty_like(rows)
        self.low_grad = None if low is None else torch.empty_like(low)
        self.up_grad = None if up is None else up.new_zeros(up.shape[::-1])

    def loss(self, part: slice, *, is_training: bool) -> Tensor:
        """The summed loss of a chunk; if training, also fills in its gradients."""
        rows, labels = self.rows[part], self.labels[part, None]
        scores, probabilities = self.scores[: len(rows)], self.probabilities[: len(rows)]
        torch.mm(rows, self.weight.t(), out=scores)
        if self.low is not None and self.up is not None:
            scores.addmm_(self.low[part], self.up.t())
        of_label, highest = scores.gather(1, labels).float(), scores.amax(1).float()
        if scores.dtype == probabilities.dtype:
            torch.softmax(scores, 1, out=probabilities)
        else:
            # softmax with another output type would allocate its own copy.
            torch.softmax(probabilities.copy_(scores), 1, out=probabilities)
        # The likeliest class has a probability of 1 / classes or more, so its logarithm is finite;
        # that of the label may underflow. log p(label) = log p(likeliest) - (highest - of_label).
        loss = (highest - probabilities.amax(1).log() - of_label[:, 0]).sum()
        if is_training:
            # the gradient of the scores: softmax - one-hot
            minus_one = probabilities.new_full((1, 1), -1.0)
            probabilities.scatter_add_(1, labels, minus_one.expand_as(labels))
            same_type = scores.dtype == probabilities.dtype
            self._add_gradients(part, probabilities if same_type else scores.copy_(probabilities))
        return loss

    def _add_gradients(self, part: slice, error: Tensor) -> None:
        """From the gradient of the scores, softmax - one-hot, [rows of the chunk, classes]."""
        torch.mm(error, self.weight, out=self.rows_grad[part])
        if self.low is None or self.up is None or self.low_grad is None or self.up_grad is None:
            return
        torch.mm(error, self.up, out=self.low_grad[part])
        self.up_grad.addmm_(self.low[part].t(), error)

    def gradients(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """The gradients of rows, low and up; None where there is no adapter."""
        up_grad = None if self.up_grad is None else self.up_grad.t()
        return self.rows_grad, self.low_grad, up_grad
