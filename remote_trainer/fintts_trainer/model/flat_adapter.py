"""The adapter as one tensor, of which PEFT's parameters are views.

A step adds up, clips, updates and casts this one tensor instead of hundreds of small ones; names
and files are PEFT's all the same. Over a base in bfloat16, the fused linears compute with a copy in
that type, cast once a step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from fintts_trainer.model.fused_lora import FusedLinear
from fintts_trainer.model.lora import trainable
from fintts_trainer.model.optimizer import AdapterOptimizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch.nn import Parameter

ALIGNMENT = 16
"""numbers, 64 bytes, as torch aligns a tensor: elsewhere a product may round differently"""

MOMENTS = ("exp_avg", "exp_avg_sq")


class _Place(NamedTuple):
    """A parameter's part of the flat tensor."""

    start: int
    shape: torch.Size
    is_transposed: bool
    """stored as [rank, outputs], the layout of its gradient"""

    @property
    def stop(self) -> int:
        return self.start + self.shape.numel()

    def of(self, flat: Tensor) -> Tensor:
        """The view in the parameter's own shape."""
        part = flat[self.start : self.stop]
        return part.view(self.shape[::-1]).t() if self.is_transposed else part.view(self.shape)


class FlatAdapter:
    """The adapter's weights, gradients and moments, each as one tensor."""

    def __init__(self, model: nn.Module, learning_rate: float) -> None:
        """Moves the parameters of a model, which is on its device, into one tensor."""
        self._model = model
        named = trainable(model)
        linears = {id(one) for one in _fused_matrices(model)}
        ups = {id(up) for up in _fused_matrices(model, down=False)}
        # first those of the fused linears: they may have a copy in another type
        order = sorted(named, key=lambda name: id(named[name]) not in linears)
        self._places: dict[str, _Place] = {}
        end = self._cast_end = 0
        for name in order:
            parameter = named[name]
            place = _Place(end, parameter.shape, id(parameter) in ups)
            self._places[name] = place
            end = place.stop + -place.stop % ALIGNMENT
            if id(parameter) in linears:
                self._cast_end = end
        device = next(iter(named.values())).device
        self.weights = nn.Parameter(torch.zeros(end, device=device))
        self.gradient = torch.zeros_like(self.weights)
        self.weights.grad = self.gradient
        for name, parameter in named.items():
            view = self._places[name].of(self.weights.data)
            parameter.data = view.copy_(parameter.data)
        self._leaves: dict[str, Tensor] = {name: named[name] for name in order}
        self._parameters = named
        self._copy = self._cast_copy(named)
        self.optimizer = AdapterOptimizer([self.weights], learning_rate)

    def _cast_copy(self, named: Mapping[str, Parameter]) -> Tensor | None:
        """A copy of the fused linears' matrices in the type of their products; None in float32."""
        modules = [one for one in self._model.modules() if isinstance(one, FusedLinear)]
        types = {cast("Tensor", one.get_base_layer().weight).dtype for one in modules}
        if len(types) != 1 or (dtype := types.pop()) == self.weights.dtype:
            return None
        copy = self.weights.detach()[: self._cast_end].to(dtype)
        names = {id(parameter): name for name, parameter in named.items()}
        for module in modules:
            leaves = []
            for matrix in module.matrices():
                name = names[id(matrix)]
                leaf = self._places[name].of(copy).detach().requires_grad_()
                self._leaves[name] = leaf
                leaves.append(leaf)
            module.down, module.up = leaves
        return copy

    @torch.no_grad()
    def refresh(self) -> None:
        """Renews the copy, after a change of the weights."""
        if self._copy is not None:
            self._copy.copy_(self.weights[: self._cast_end])

    @torch.no_grad()
    def collect(self) -> None:
        """Adds a micro-batch's gradients to `gradient`, and drops them there."""
        copied, rest = list[Tensor](), list[Tensor]()
        for name, leaf in self._leaves.items():
            place = self._places[name]
            part = copied if place.start < self._cast_end else rest
            grad = leaf.new_zeros(leaf.shape) if leaf.grad is None else leaf.grad
            part.append((grad.t() if place.is_transposed else grad).reshape(-1))
            if padding := -place.stop % ALIGNMENT:
                part.append(grad.new_zeros(padding))
        if copied:
            self.gradient[: self._cast_end] += torch.cat(copied)
        if rest:
            self.gradient[self._cast_end :] += torch.cat(rest)
        # A head is a fused linear, but its projection reads PEFT's parameters.
        for name, parameter in self._parameters.items():
            if parameter is not self._leaves[name] and parameter.grad is not None:
                self._places[name].of(self.gradient).add_(parameter.grad)
        self.drop()

    def drop(self) -> None:
        """Drops a micro-batch's gradients."""
        for leaf in (*self._leaves.values(), *self._parameters.values()):
            leaf.grad = None

    def update(self, learning_rate: float, most_norm: float, losses: Tensor) -> Tensor:
        """Clips the gradient (arXiv:1211.5063), takes a step, and begins with no gradient again.

        Nothing changes if the losses or the gradient are not finite.

        Returns:
            The norm of the gradient before clipping, on the device.
        """
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


def _fused_matrices(model: nn.Module, *, down: bool = True) -> list[Tensor]:
    """The matrices of the fused linears: B alone, or with `down` A too."""
    modules = [one for one in model.modules() if isinstance(one, FusedLinear)]
    return [matrix for one in modules for matrix in one.matrices()[0 if down else 1 :]]
