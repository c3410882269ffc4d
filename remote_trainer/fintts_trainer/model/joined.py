"""Linears that read the same rows as one product, and their LoRA as one of the sum of the ranks.

Query, key and value are one product, and so are gate and up: a GPU launches a third of the kernels,
and they are larger. The frozen weights of the linears are views of the joined one, so they take no
more memory. Joined, A is the As one below the other, and B is block diagonal. PEFT's modules,
parameters and their names stay.

Below the weight there may be room for A, so that x Wᵀ and x Aᵀ are one product, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ALIGNMENT = 16
"""numbers, 64 bytes of float32, as torch aligns a tensor: elsewhere a product may round
differently"""

Values = tuple[Tensor | None, ...]
"""A, [rank, inputs], and s B, [rank, outputs], of each product in turn; None without an adapter"""


class Adapter(NamedTuple):
    """The constants of a joined LoRA."""

    rank: int
    """0 without an adapter"""
    inputs: int
    outputs: int
    dropout: float

    @property
    def shapes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Of A and B."""
        return (self.rank, self.inputs), (self.rank, self.outputs)

    @property
    def size(self) -> int:
        """Numbers of A and B together, each up to where the next may start."""
        return sum(aligned(rows * columns) for rows, columns in self.shapes)


@dataclass(frozen=True, slots=True)
class Block:
    """Where a matrix of PEFT's lies among the numbers of a pack."""

    parameter: nn.Parameter
    start: int
    strides: tuple[int, int]
    scale: float
    """of the numbers that the products read: alpha / rank for B, 1 for A"""

    def of(self, values: Tensor) -> Tensor:
        """The view in the parameter's own shape; `values` are those of the pack."""
        start = values.storage_offset() + self.start
        return values.as_strided(self.parameter.shape, self.strides, start)


class Joined:
    """Linears without bias over the same rows.

    Attributes:
        weight: all rows of the linears' weights, [outputs, inputs].
        rows: what a product reads: the weight, and below it A if there is room.
        room: for A, [rank, inputs], the rows below the weight; None without room.
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
        """Joins the weights, and makes the linears' own ones views; again after a move, which takes
        the room."""
        weights = [base_weight(linear).detach() for linear in self.linears]
        self.room: Tensor | None = None
        self.rows = self.weight = self._shared(_as_neighbours(weights))
        return self.weight

    def make_room(self, multiple: int) -> None:
        """Moves the weight to where A has room below it, unless dropout makes A read other rows.

        Args:
            multiple: the number of rows is one, so that those of a result are aligned.
        """
        rank, inputs, outputs, dropout = self.adapter
        if not rank or dropout:
            return
        self.rows = self.weight.new_zeros(outputs + rank + -rank % multiple, inputs)
        self.rows[:outputs] = self.weight
        self.weight = self._shared(self.rows[:outputs])
        self.room = self.rows[outputs : outputs + rank]

    def _shared(self, weight: Tensor) -> Tensor:
        """The weight, of which the linears' own ones are views now."""
        weights = [base_weight(linear) for linear in self.linears]
        parts = weight.split_with_sizes([len(one) for one in weights])
        for one, part in zip(weights, parts, strict=True):
            one.data = part
        return weight

    def _adapter(self) -> Adapter:
        outputs, inputs = self.weight.shape
        adapted = [one for one in self.linears if isinstance(one, Linear)]
        dropouts = {dropout_of(one) for one in adapted} or {0.0}
        if len(dropouts) > 1:
            raise ValueError("the adapters differ in dropout")
        rank = sum(len(matrices(one)[0]) for one in adapted)
        return Adapter(rank, inputs, outputs, dropouts.pop())

    def blocks(self, start: int) -> Iterator[Block]:
        """PEFT's matrices: A [rank, inputs], and B [outputs, rank] as a block of [rank, outputs].

        Args:
            start: of this product in the pack.
        """
        rank, inputs, outputs = self.adapter[:3]
        start_of_b = start + aligned(rank * inputs)
        row = column = 0
        for linear in self.linears:
            if isinstance(linear, Linear):
                down, up = matrices(linear)
                yield Block(down, start + row * inputs, (inputs, 1), 1.0)
                place = start_of_b + row * outputs + column
                yield Block(up, place, (1, outputs), scale_of(linear))
                row += len(down)
            column += len(base_weight(linear))


class Pack:
    """The adapter of one autograd node, as one row of numbers: A and s B of each product in turn.

    Attributes:
        leaves: what the products read, if `FlatAdapter` holds it; each use collects PEFT's
            parameters otherwise.
    """

    def __init__(self, products: Sequence[Joined]) -> None:
        self.products = tuple(products)
        self.leaves: Values = ()
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

    def values(self) -> Values:
        """What the products read; None for all of it while the adapter is off or merged."""
        first = self._adapted
        if first is None or first.disable_adapters or first.merged:
            return (None, None) * len(self.products)
        return self.leaves or self._collected()

    def _collected(self) -> Values:
        """From PEFT's parameters, which get the gradient."""
        found = list[Tensor | None]()
        for product in self.products:
            adapted = [one for one in product.linears if isinstance(one, Linear)]
            if not adapted:
                found += [None, None]
                continue
            blocks = [
                matrices(one)[1].t() * scale_of(one) if isinstance(one, Linear) else _no_rank(one)
                for one in product.linears
            ]
            down = torch.cat([matrices(one)[0] for one in adapted])
            up = torch.block_diag(*blocks)  # type: ignore[no-untyped-call] # torch: untyped
            found += [one.to(product.weight.dtype) for one in (down, up)]
        return tuple(found)

    def read(self, numbers: Tensor) -> list[Tensor]:
        """From now on the products read these numbers, [size], in their type.

        Returns:
            Views of them that get the gradient, each aligned.
        """
        leaves, start = list[Tensor | None](), 0
        for rows, columns in (shape for one in self.products for shape in one.adapter.shapes):
            part = numbers[start : start + rows * columns].view(rows, columns)
            leaves.append(part.detach().requires_grad_() if rows else None)
            start += aligned(rows * columns)
        self.leaves = tuple(leaves)
        return [leaf for leaf in leaves if leaf is not None]


def matrices(linear: Linear) -> tuple[nn.Parameter, nn.Parameter]:
    """PEFT's parameters: A, [rank, inputs], and B, [outputs, rank]."""
    (name,) = linear.active_adapters
    down, up = linear.lora_A[name].weight, linear.lora_B[name].weight
    return cast("nn.Parameter", down), cast("nn.Parameter", up)


def scale_of(linear: Linear) -> float:
    """Alpha / rank."""
    (name,) = linear.active_adapters
    return float(linear.scaling[name])


def dropout_of(linear: Linear) -> float:
    """Its probability."""
    (name,) = linear.active_adapters
    dropout = linear.lora_dropout[name]
    return dropout.p if isinstance(dropout, nn.Dropout) else 0.0


def aligned(numbers: int) -> int:
    """Where the next matrix may start after so many numbers."""
    return numbers + -numbers % ALIGNMENT


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
