"""Finite scalar quantisation in groups (Mentzer et al., 2023), as Fish Speech 1.5's codec does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

MARGIN = 1e-3


class Fsq(nn.Module):
    """One group: a few numbers, each rounded to one of its levels."""

    def __init__(self, dim: int, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.project_in = nn.Linear(dim, len(levels))
        self.project_out = nn.Linear(len(levels), dim)
        self.levels = levels

    def encode(self, x: Tensor) -> Tensor:
        """[B, T, dim] → int64 [B, T].

        The bound is applied twice: the codec was trained with two nested quantisers of one stage.
        """
        levels = torch.tensor(self.levels, device=x.device)
        digits = self._bounded(self._bounded(self.project_in(x))).round().long() + levels // 2
        return (digits * self._basis(x.device)).sum(-1)

    def value(self, codes: Tensor) -> Tensor:
        """int64 [B, T] → [B, T, dim]."""
        levels = torch.tensor(self.levels, device=codes.device)
        digits = codes[..., None] // self._basis(codes.device) % levels
        return cast("Tensor", self.project_out((digits - levels // 2) / (levels // 2)))

    def _bounded(self, z: Tensor) -> Tensor:
        half = [(level - 1) * (1 + MARGIN) / 2 for level in self.levels]
        offset = [0.0 if level % 2 else 0.5 for level in self.levels]
        shift = [math.atanh(o / h) for o, h in zip(offset, half, strict=True)]
        h, o, s = (z.new_tensor(numbers) for numbers in (half, offset, shift))
        return (z + s).tanh() * h - o

    def _basis(self, device: torch.device) -> Tensor:
        steps = [math.prod(self.levels[:n]) for n in range(len(self.levels))]
        return torch.tensor(steps, device=device)


class GroupedFsq(nn.Module):
    """Channels in equal groups, each with a code of its own."""

    def __init__(self, dim: int, groups: int, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.rvqs = nn.ModuleList(Fsq(dim // groups, levels) for _ in range(groups))

    def encode(self, x: Tensor) -> Tensor:
        """[B, dim, T] → int64 [B, groups, T]."""
        parts = x.transpose(1, 2).chunk(len(self.rvqs), dim=-1)
        pairs = zip(self._groups(), parts, strict=True)
        return torch.stack([group.encode(part) for group, part in pairs], dim=1)

    def values(self, codes: Tensor) -> Tensor:
        """int64 [B, groups, T] → [B, dim, T]."""
        pairs = zip(self._groups(), codes.unbind(1), strict=True)
        return torch.cat([group.value(row) for group, row in pairs], dim=-1).transpose(1, 2)

    def _groups(self) -> list[Fsq]:
        return [group for group in self.rvqs if isinstance(group, Fsq)]
