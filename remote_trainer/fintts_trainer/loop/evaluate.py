"""Evaluates batches: the loss by head, and the accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import nn

    from fintts_trainer.families.base import Batch, Predictions

TOP = 5


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over label positions, so that batches of any size add up to the exact mean."""

    token_loss: float = 0.0
    tokens: int = 0
    code_loss: float = 0.0
    codes: int = 0
    codes_in_top5: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.token_loss + other.token_loss,
            self.tokens + other.tokens,
            self.code_loss + other.code_loss,
            self.codes + other.codes,
            self.codes_in_top5 + other.codes_in_top5,
        )

    @classmethod
    def of(cls, predictions: Predictions) -> Tally:
        """The tally of one forward pass."""
        losses = predictions.losses()
        code = losses.get("code")
        return cls(
            token_loss=float(losses["token"].total),
            tokens=losses["token"].count,
            code_loss=0.0 if code is None else float(code.total),
            codes=0 if code is None else code.count,
            codes_in_top5=predictions.codes_in_top(TOP),
        )

    @property
    def sums(self) -> list[float]:
        """All five sums, in order, for `of_sums`."""
        return [self.token_loss, self.tokens, self.code_loss, self.codes, self.codes_in_top5]

    @classmethod
    def of_sums(cls, sums: Sequence[float]) -> Tally:
        """The inverse of `sums`; counts up to 2⁵³ stay exact."""
        token_loss, tokens, code_loss, codes, codes_in_top5 = sums
        return cls(token_loss, int(tokens), code_loss, int(codes), int(codes_in_top5))

    def means(self) -> dict[str, float]:
        """`loss` is the sum of its two parts, in nats: `token_loss`, the mean over row 0, and
        `code_loss`, the mean over all codebooks. `top5_accuracy` is that of the codes.

        Without a second network `loss` is `token_loss`, and row 0 holds the codes.
        """
        token = self.token_loss / self.tokens
        if not self.codes:
            accuracy = self.codes_in_top5 / self.tokens
            return {"loss": token, "token_loss": token, "top5_accuracy": accuracy}
        code = self.code_loss / self.codes
        return {
            "loss": token + code,
            "token_loss": token,
            "code_loss": code,
            "top5_accuracy": self.codes_in_top5 / self.codes,
        }


@torch.no_grad()
def evaluate(model: nn.Module, batches: Iterable[Batch], device: torch.device) -> Tally:
    """Runs forward passes; leaves the model in training mode, as before."""
    model.eval()
    total = Tally()
    for batch in batches:
        total += Tally.of(model(batch.to(device)))
    model.train()
    return total
