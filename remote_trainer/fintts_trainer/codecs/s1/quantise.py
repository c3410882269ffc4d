"""Residual vector quantisation by direction, as S1's codec does it (Kumar et al., 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Quantiser(nn.Module):
    """One codebook, in a space of few numbers."""

    def __init__(self, dim: int, codes: int, codebook_dim: int) -> None:
        super().__init__()
        self.in_proj = nn.Conv1d(dim, codebook_dim, 1)
        self.out_proj = nn.Conv1d(codebook_dim, dim, 1)
        self.codebook = nn.Embedding(codes, codebook_dim)

    def encode(self, x: Tensor) -> Tensor:
        """[B, dim, T] → the code of the nearest direction, int64 [B, T]."""
        directions = F.normalize(self.in_proj(x).transpose(1, 2), dim=-1)
        return (directions @ F.normalize(self.codebook.weight, dim=-1).T).argmax(-1)

    def value(self, codes: Tensor) -> Tensor:
        """int64 [B, T] → [B, dim, T]: of the rows as they are, not normalised."""
        known = codes.clamp(max=self.codebook.num_embeddings - 1)
        return cast("Tensor", self.out_proj(self.codebook(known).transpose(1, 2)))


class Quantisers(nn.Module):
    """Codebooks of which each codes what the ones before it left over."""

    def __init__(self, dim: int, sizes: Sequence[int], codebook_dim: int) -> None:
        super().__init__()
        self.quantizers = nn.ModuleList(Quantiser(dim, size, codebook_dim) for size in sizes)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, dim, T] → (codes, int64 [B, codebooks, T]; what is left over, [B, dim, T])."""
        rows: list[Tensor] = []
        for book in self._books():
            rows.append(book.encode(x))
            x = x - book.value(rows[-1])
        shape = (x.shape[0], 0, x.shape[-1])
        return (torch.stack(rows, dim=1) if rows else x.new_zeros(shape, dtype=torch.long)), x

    def values(self, codes: Tensor) -> Tensor:
        """int64 [B, codebooks, T] → the sum of the values, [B, dim, T]; 0 without codebooks."""
        books = self._books()
        nothing = torch.zeros((), device=codes.device)
        return sum((book.value(codes[:, n]) for n, book in enumerate(books)), nothing)

    def _books(self) -> list[Quantiser]:
        return [book for book in self.quantizers if isinstance(book, Quantiser)]
