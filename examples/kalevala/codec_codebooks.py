"""The codebooks of the example's codec while it trains: placed by k-means, then moving averages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it

from fintts_trainer.codecs.s1.quantise import Quantiser

if TYPE_CHECKING:
    from torch import Tensor

    from fintts_trainer.codecs.s1.network import Quantizer

KMEANS_ROUNDS = 6
DECAY = 0.95
"""of the averages, per step"""
FORGOTTEN = 0.05
"""share of the mean use below which a code is placed anew"""
AT_FIRST = 0.5
"""share of the mean use that a code placed anew counts for"""


class Codebooks:
    """Residual vector quantisation with gradients passed straight through.

    Each codebook begins with the main directions of what the ones before it leave over. Its codes
    are the moving averages of what they stand for; those that nothing is nearest to are set to
    vectors of the batch. Without that, only a few codes stay in use.
    """

    def __init__(self, quantizer: Quantizer, latent: Tensor) -> None:
        """Places all codes; `latent` is the encoder's result, [B, latent, T]."""
        lists = (quantizer.semantic_quantizer.quantizers, quantizer.quantizer.quantizers)
        self._books = [book for each in lists for book in each if isinstance(book, Quantiser)]
        self._averages: list[Averages] = []
        rest = latent
        for book in self._books:
            _project(book, rest)
            self._averages.append(Averages(book, _rows(book.in_proj(rest))))
            rest = rest - book.value(book.encode(rest))

    def __call__(self, latent: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """[B, latent, T] → (the values of the first `count` codes, commitment loss)."""
        rest, total = latent, torch.zeros_like(latent)
        losses: list[Tensor] = []
        for book, averages in zip(self._books[:count], self._averages[:count], strict=True):
            short, codes = book.in_proj(rest), book.encode(rest)
            chosen = book.codebook(codes).transpose(1, 2).detach()
            losses.append(F.mse_loss(short, chosen) / (chosen.square().mean() + 1e-6))
            averages.follow(_rows(short), codes.flatten())
            value = book.out_proj(short + (chosen - short).detach())
            rest, total = rest - value, total + value
        return total, torch.stack(losses).mean()


def _rows(short: Tensor) -> Tensor:
    """[B, dim, T] → [B · T, dim]"""
    return short.detach().transpose(1, 2).flatten(0, 1)


@torch.no_grad()
def _project(book: Quantiser, rest: Tensor) -> None:
    """Lets a codebook see the main directions of [B, latent, T] around its mean."""
    vectors = _rows(rest)
    middle = vectors.mean(0)
    directions = torch.linalg.svd(vectors - middle, full_matrices=False).Vh
    kept = directions[: book.codebook.embedding_dim]
    assert book.in_proj.bias is not None
    assert book.out_proj.bias is not None
    book.in_proj.weight.copy_(kept[:, :, None])
    book.in_proj.bias.copy_(-kept @ middle)
    book.out_proj.weight.copy_(kept.T[:, :, None])
    book.out_proj.bias.copy_(middle)


class Averages:
    """How often each code is used, and the sum of what it stands for; both decay."""

    def __init__(self, book: Quantiser, vectors: Tensor) -> None:
        """k-means by direction; `vectors` is [count, dim]."""
        self._book, size = book, book.codebook.num_embeddings
        rows = vectors[torch.randperm(len(vectors))[:size]].clone()
        for _ in range(KMEANS_ROUNDS):
            near = (F.normalize(vectors, dim=-1) @ F.normalize(rows, dim=-1).T).argmax(-1)
            counts = torch.bincount(near, minlength=size).float()[:, None]
            sums = torch.zeros_like(rows).index_add_(0, near, vectors)
            others = vectors[torch.randint(len(vectors), (size,))]
            rows = torch.where(counts > 0, sums / counts.clamp(min=1), others)
        self._counts, self._sums = torch.ones(size), rows.clone()
        self._write()

    @torch.no_grad()
    def follow(self, vectors: Tensor, codes: Tensor) -> None:
        """Moves the codes [count] towards the vectors [count, dim] that they stand for."""
        size, fresh = len(self._counts), 1 - DECAY
        used = torch.bincount(codes, minlength=size).float()
        self._counts.mul_(DECAY).add_(used, alpha=fresh)
        self._sums.mul_(DECAY).index_add_(0, codes, vectors, alpha=fresh)
        mean_use = len(vectors) / size
        forgotten = (self._counts < FORGOTTEN * mean_use).nonzero().flatten()
        if len(forgotten):
            self._counts[forgotten] = AT_FIRST * mean_use
            others = vectors[torch.randint(len(vectors), (len(forgotten),))]
            self._sums[forgotten] = others * AT_FIRST * mean_use
        self._write()

    def _write(self) -> None:
        self._book.codebook.weight.data.copy_(self._sums / self._counts[:, None])
