"""Linears that read the same rows as one product, and their LoRA as one of the sum of the ranks.

Query, key and value are one product, and so are gate and up: a GPU launches a third of the kernels,
and they are larger. The frozen weights of the linears are views of the joined one, so they take no
more memory. Joined, A is the As one below the other, and B is block diagonal. PEFT's modules,
parameters and their names stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Adapter(NamedTuple):
    """The constants of a joined LoRA."""

    rank: int
    """0 without an adapter"""
    inputs: int
    outputs: int
    scale: float
    """alpha / rank"""
    dropout: float

    @property
    def size(self) -> int:
        """Numbers of A and B together."""
        return self.rank * (self.inputs + self.outputs)


@dataclass(frozen=True, slots=True)
class Block:
    """Where a matrix of PEFT's lies among the numbers of a pack."""

    parameter: nn.Parameter
    start: int
    strides: tuple[int, int]

    def of(self, values: Tensor) -> Tensor:
        """The view in the parameter's own shape; `values` are those of the pack."""
        start = values.storage_offset() + self.start
        return values.as_strided(self.parameter.shape, self.strides, start)


class Joined:
    """Linears without bias over the same rows.

    Attributes:
        weight: all rows of the linears' weights, [outputs, inputs].
        adapter: of all of them.
    """

    def __init__(self, linears: Sequence[nn.Module]) -> None:
        """Raises ValueError if the product would not be the linears' own."""
        if not all(map(is_plain, linears)):
            raise ValueError("a linear has a bias, or more than a plain LoRA")
        self.linears = tuple(linears)
        self.weight = self.join()
        self.adapter = self._adapter()

    def join(self) -> Tensor:
        """Joins the weights, and makes the linears' own ones views; again after a move."""
        weights = [base_weight(linear) for linear in self.linears]
        self.weight = _as_neighbours([weight.detach() for weight in weights])
        parts = self.weight.split_with_sizes([len(weight) for weight in weights])
        for weight, part in zip(weights, parts, strict=True):
            weight.data = part
        return self.weight

    def _adapter(self) -> Adapter:
        outputs, inputs = self.weight.shape
        adapted = [one for one in self.linears if isinstance(one, Linear)]
        settings = {settings_of(one) for one in adapted}
        if len(settings) > 1:
            raise ValueError("the adapters differ in scale or dropout")
        scale, dropout = settings.pop() if settings else (1.0, 0.0)
        rank = sum(len(matrices(one)[0]) for one in adapted)
        return Adapter(rank, inputs, outputs, scale, dropout)

    def blocks(self, start: int) -> Iterator[Block]:
        """PEFT's matrices: A [rank, inputs], and B [outputs, rank] as a block of [rank, outputs].

        Args:
            start: of this product in the pack.
        """
        rank, inputs, outputs = self.adapter[:3]
        row = column = 0
        for linear in self.linears:
            if isinstance(linear, Linear):
                down, up = matrices(linear)
                yield Block(down, start + row * inputs, (inputs, 1))
                yield Block(up, start + rank * inputs + row * outputs + column, (1, outputs))
                row += len(down)
            column += len(base_weight(linear))


class Pack:
    """The adapter of one autograd node, as one row of numbers: A and B of each product in turn.

    Attributes:
        leaf: the numbers in the type of the products, if `FlatAdapter` holds them; each use
            collects PEFT's parameters otherwise.
    """

    def __init__(self, products: Sequence[Joined]) -> None:
        self.products = tuple(products)
        self.leaf: Tensor | None = None
        self.blocks: list[Block] = []
        start = 0
        for product in products:
            self.blocks += product.blocks(start)
            start += product.adapter.size
        self.size = start
        """numbers"""
        self._adapted = next(
            (one for product in products for one in product.linears if isinstance(one, Linear)),
            None,
        )

    def values(self) -> Tensor | None:
        """The numbers, [size]; None without an adapter, and while it is off or merged."""
        first = self._adapted
        if first is None or first.disable_adapters or first.merged:
            return None
        return self.leaf if self.leaf is not None else self._collected()

    def _collected(self) -> Tensor:
        """From PEFT's parameters, which get the gradient."""
        dtype = self.products[0].weight.dtype
        parts = list[Tensor]()
        for product in self.products:
            adapted = [one for one in product.linears if isinstance(one, Linear)]
            if not adapted:
                continue
            parts += [matrices(one)[0].flatten() for one in adapted]
            blocks = [
                matrices(one)[1].t() if isinstance(one, Linear) else _no_rank(one)
                for one in product.linears
            ]
            diagonal = torch.block_diag(*blocks)  # type: ignore[no-untyped-call] # torch: untyped
            parts.append(diagonal.flatten())
        return torch.cat(parts).to(dtype)


def halves(values: Tensor, adapter: Adapter) -> tuple[Tensor, Tensor]:
    """A, [rank, inputs], and B, [rank, outputs], of a product's numbers."""
    rank, inputs, outputs = adapter[:3]
    down, up = values.split_with_sizes([rank * inputs, rank * outputs])
    return down.view(rank, inputs), up.view(rank, outputs)


def matrices(linear: Linear) -> tuple[nn.Parameter, nn.Parameter]:
    """PEFT's parameters: A, [rank, inputs], and B, [outputs, rank]."""
    (name,) = linear.active_adapters
    down, up = linear.lora_A[name].weight, linear.lora_B[name].weight
    return cast("nn.Parameter", down), cast("nn.Parameter", up)


def settings_of(linear: Linear) -> tuple[float, float]:
    """Scale and dropout."""
    (name,) = linear.active_adapters
    dropout = linear.lora_dropout[name]
    return linear.scaling[name], dropout.p if isinstance(dropout, nn.Dropout) else 0.0


def base_weight(linear: nn.Module) -> nn.Parameter:
    """The frozen weight, [outputs, inputs]."""
    base = linear.get_base_layer() if isinstance(linear, Linear) else linear
    return cast("nn.Parameter", base.weight)


def _no_rank(linear: nn.Module) -> Tensor:
    """B without an adapter, [0, outputs]."""
    weight = base_weight(linear)
    return weight.new_empty(0, len(weight))


def _as_neighbours(weights: list[Tensor]) -> Tensor:
    """All rows as one matrix: a view if they are neighbours in memory, as in Fish Speech's files,
    which are mapped; a copy otherwise."""
    first, end = weights[0], weights[0].data_ptr()
    storage = first.untyped_storage().data_ptr()
    for weight in weights:
        is_next = weight.data_ptr() == end and weight.untyped_storage().data_ptr() == storage
        if not is_next or not weight.is_contiguous():
            return torch.cat(weights)
        end += weight.nbytes
    return first.as_strided((sum(map(len, weights)), first.shape[1]), first.stride())


def is_plain(linear: nn.Module) -> bool:
    """Whether it is a linear without a bias, and with at most one plain LoRA."""
    base = linear.get_base_layer() if isinstance(linear, Linear) else linear
    is_linear = isinstance(base, nn.Linear) and getattr(base, "bias", None) is None
    if not isinstance(linear, Linear):
        return is_linear
    names = linear.active_adapters
    return (
        is_linear
        and len(names) == 1
        and not linear.lora_variant
        and isinstance(linear.lora_dropout[names[0]], nn.Identity | nn.Dropout)
    )
