"""The adapter as one tensor, of which PEFT's parameters are views.

A step adds up, clips and updates this one tensor instead of hundreds of small ones; names and files
are PEFT's all the same. Once a step, the numbers that the products read are made from it: in their
type, B times its scale, and A once more below a frozen weight with room for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from fintts_trainer.model.fused_layers import FusedLayer
from fintts_trainer.model.fused_lora import FusedLinear
from fintts_trainer.model.joined import aligned
from fintts_trainer.model.lora import trainable
from fintts_trainer.model.optimizer import AdapterOptimizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fintts_trainer.model.joined import Pack

MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class _Place:
    """A parameter's part of the flat tensor; a B of a joined product is a block of a matrix."""

    start: int
    shape: torch.Size
    strides: tuple[int, ...]
    scale: float
    """of the numbers that the products read"""

    def of(self, flat: Tensor) -> Tensor:
        """The view in the parameter's own shape."""
        return flat.as_strided(self.shape, self.strides, self.start)


class FlatAdapter:
    """The adapter's weights, gradients and moments, each as one tensor."""

    def __init__(self, model: nn.Module, learning_rate: float) -> None:
        """Moves the parameters of a model, which is on its device, into one tensor."""
        self._model = model
        named = trainable(model)
        names = {id(parameter): name for name, parameter in named.items()}
        packs = [pack for pack in packs_of(model) if pack.blocks]
        self._places: dict[str, _Place] = {}
        starts, end = list[int](), 0
        for pack in packs:
            starts.append(end)
            for block in pack.blocks:
                name, shape = names.pop(id(block.parameter)), block.parameter.shape
                self._places[name] = _Place(end + block.start, shape, block.strides, block.scale)
            end += pack.size
        self._cast_end = end
        for name in names.values():
            one = named[name]
            self._places[name] = _Place(end, one.shape, torch.empty_like(one).stride(), 1.0)
            end = aligned(end + one.numel())
        device = next(iter(named.values())).device
        self.weights = nn.Parameter(torch.zeros(end, device=device))
        self.gradient = torch.zeros_like(self.weights)
        self.weights.grad = self.gradient
        self._scales = torch.zeros_like(self.weights.data)
        for name, parameter in named.items():
            place = self._places[name]
            parameter.data = place.of(self.weights.data).copy_(parameter.data)
            place.of(self._scales).fill_(place.scale)
        self._numbers = self.weights.new_empty(self._cast_end, dtype=_type_of(packs))
        self._leaves = list[Tensor]()
        for pack, start in zip(packs, starts, strict=True):
            self._leaves += pack.read(self._numbers[start : start + pack.size])
        self._rooms, self._downs = _rooms_of(packs)
        self.refresh()
        self._rest = [named[name] for name in names.values()]
        self.optimizer = AdapterOptimizer([self.weights], learning_rate)

    @torch.no_grad()
    def refresh(self) -> None:
        """Renews what the products read, after a change of the weights."""
        end = self._cast_end
        torch.mul(self.weights[:end], self._scales[:end], out=self._numbers)
        if self._rooms:
            torch.ops.aten._foreach_copy_(self._rooms, self._downs)

    @torch.no_grad()
    def collect(self) -> None:
        """Adds a micro-batch's gradients to `gradient`, and drops them there."""
        if self._leaves:
            self.gradient[: self._cast_end] += _joined(self._leaves)
        if self._rest:
            self.gradient[self._cast_end :] += _joined(self._rest)
        self.drop()

    def drop(self) -> None:
        """Drops a micro-batch's gradients."""
        for leaf in (*self._leaves, *self._rest):
            leaf.grad = None

    def update(self, learning_rate: float, most_norm: float, losses: Tensor) -> Tensor:
        """Clips the gradient (arXiv:1211.5063), takes a step, and begins with no gradient again.

        Nothing changes if the losses or the gradient are not finite.

        Returns:
            The norm of the gradient before clipping, on the device.
        """
        # That of B is s times that of s B. Between the blocks of a joined product, the products
        # leave a gradient, too.
        self.gradient *= self._scales
        norm = clip_grad_norm_([self.weights], most_norm)
        self.optimizer.update(learning_rate, losses.sum() + norm)
        self.gradient.zero_()
        self.refresh()
        return norm

    @property
    def has_moments(self) -> bool:
        """Whether a step was taken, here or in the run's earlier jobs."""
        return bool(self.optimizer.state)

    def state(self) -> dict[str, Tensor]:
        """AdamW's state on the device: both moments and the number of steps; zeros at first."""
        state = self.optimizer.state[self.weights]
        if not state:
            state |= {moment: torch.zeros_like(self.weights) for moment in MOMENTS}
            state["step"] = torch.zeros((), device=self.weights.device)
        return {name: state[name] for name in (*MOMENTS, "step")}

    def moments(self) -> dict[str, Tensor]:
        """AdamW's state under the names of PEFT's parameters, on the CPU; none before a step."""
        if not self.has_moments:
            return {}
        here = {name: value.detach().cpu() for name, value in self.state().items()}
        found: dict[str, Tensor] = {}
        for name in trainable(self._model):
            place = self._places[name]
            found |= {f"{name}.{one}": place.of(here[one]).contiguous() for one in MOMENTS}
            found[f"{name}.step"] = here["step"].clone()
        return found

    @torch.no_grad()
    def load_moments(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `moments`. A parameter without any, as earlier versions wrote one that had
        never had a gradient, begins with zeros."""
        steps = [value for name, value in tensors.items() if name.endswith(".step")]
        if not steps:
            return
        state = self.state()
        for name, place in self._places.items():
            if f"{name}.step" in tensors:
                for moment in MOMENTS:
                    place.of(state[moment]).copy_(tensors[f"{name}.{moment}"])
        state["step"].copy_(torch.stack(steps).max())


def packs_of(model: nn.Module) -> Iterator[Pack]:
    """The packs of all fused layers and linears."""
    for module in model.modules():
        if isinstance(module, FusedLayer):
            yield from (module.parts.before, module.parts.after)
        elif isinstance(module, FusedLinear):
            yield module.pack


def _type_of(packs: list[Pack]) -> torch.dtype:
    """That of their products, if it is one."""
    types = {product.weight.dtype for pack in packs for product in pack.products}
    return types.pop() if len(types) == 1 else torch.float32


def _rooms_of(packs: list[Pack]) -> tuple[list[Tensor], list[Tensor]]:
    """The rooms below the weights, and the As that belong there."""
    rooms, downs = list[Tensor](), list[Tensor]()
    for pack in packs:
        for product, down in zip(pack.products, pack.leaves[::2], strict=True):
            if product.room is not None and down is not None:
                rooms.append(product.room)
                downs.append(down.detach())
    return rooms, downs


def _joined(leaves: Sequence[Tensor]) -> Tensor:
    """The gradients of neighbours in the flat tensor, with zeros up to the next start."""
    parts = list[Tensor]()
    for leaf in leaves:
        grad = leaf.new_zeros(leaf.shape) if leaf.grad is None else leaf.grad
        parts.append(grad.reshape(-1))
        if padding := aligned(leaf.numel()) - leaf.numel():
            parts.append(grad.new_zeros(padding))
    return torch.cat(parts)
