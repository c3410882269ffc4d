"""The port of a base model family: utterances, batches and predictions.

One network reads text and frames along time and predicts row 0, the next token. In a dual
autoregressive model, a smaller network predicts the codes of that frame, on the other rows, from
the first network's hidden state; a plain language model over one stream of codes has only row 0.
The family decides whether row 0 of a frame is a separate token (Fish Speech) or the first code
(CSM), and whether the end is one token or a whole frame. To add a family, implement
`BaseModelFamily`, add it to FAMILIES here and in fintts_inputs.base_model.families, and add a
member to the contract test.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it

from fintts_trainer.model.fused_loss import cross_entropy_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    from torch import Tensor, nn

    from fintts_inputs.base_model.families import BaseModelConfig
    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.config import Target
    from fintts_inputs.prompts import Prompt
    from fintts_trainer.synthesis.request import Speech, SpeechRequest

IGNORE = -100
"""Label of a position without a loss."""


@dataclass(frozen=True, slots=True)
class Example:
    """One utterance, ready for the model.

    Attributes:
        tokens: int64 [rows, T]; row 0 is what the first network reads and predicts; the other rows
            are the codes that a second network predicts, and 0 where there is no frame. The last
            position is the end.
        text_length: positions before the first frame; they have no label.
        end_has_codes: whether the end is a frame, whose codes are labels too.
    """

    tokens: npt.NDArray[np.int64]
    text_length: int
    end_has_codes: bool

    @property
    def length(self) -> int:
        """T, of which the model reads all but the last."""
        return int(self.tokens.shape[1])


@dataclass(frozen=True, slots=True)
class Batch:
    """Utterances padded on the right, and the positions that the model picks from them.

    The positions come with the batch: finding them on a GPU would stop the CPU until the GPU has
    caught up.

    Attributes:
        inputs: int64 [batch, rows, T].
        labels: int64 [batch, rows, T]; the token after each input; IGNORE at text, at padding and,
            in the rows beyond the first, at an end without codes.
        labelled: int64 [labels]; the positions with a label in row 0, counted through the batch.
        coded: int64 [coded labels]; the entries of `labelled` whose other rows have labels too.
        frames: int64 [frames]; the positions at which the model reads a frame.
    """

    inputs: Tensor
    labels: Tensor
    labelled: Tensor
    coded: Tensor
    frames: Tensor

    @classmethod
    def of(cls, inputs: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> Batch:
        """Finds the positions. The first label of an utterance is its first frame, so the model
        reads a frame at every later position that has a label."""
        has_label = labels[:, 0] != IGNORE
        follows = np.zeros_like(has_label)
        follows[:, 1:] = has_label[:, 1:] & has_label[:, :-1]
        labelled = np.flatnonzero(has_label)
        has_codes = (labels[:, 1:] != IGNORE).any(axis=1)
        return cls(
            *map(
                torch.from_numpy,
                (
                    inputs,
                    labels,
                    labelled,
                    np.flatnonzero(has_codes.flatten()[labelled]),
                    np.flatnonzero(follows),
                ),
            )
        )

    @property
    def label_count(self) -> int:
        """Labels of row 0: the frames, and one end per utterance."""
        return self.labelled.numel()

    @property
    def code_count(self) -> int:
        """Labels of the rows beyond the first; 0 without a second network."""
        return self.coded.numel() * (self.labels.shape[1] - 1)

    def picked_labels(self) -> tuple[Tensor, Tensor]:
        """The labels of row 0, [labels], and those of the other rows, [coded labels, rows - 1]."""
        columns = self.labels.transpose(1, 2).flatten(0, 1).index_select(0, self.labelled)
        return columns[:, 0], columns[:, 1:].index_select(0, self.coded)

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device; a pinned batch is copied asynchronously."""
        return self._each(lambda one: one.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """The same batch in page-locked memory, for a GPU to copy from."""
        return self._each(lambda one: one.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(*(change(getattr(self, field.name)) for field in fields(self)))


class Scores(Protocol):
    """The scores of a head for some rows, computed on request."""

    def logits(self) -> Tensor:
        """[rows, classes]; takes much memory for a wide head."""
        ...

    def loss(self, labels: Tensor) -> Tensor:
        """Sum of the cross-entropies against `labels` [rows], in nats."""
        ...


@dataclass(frozen=True, slots=True)
class ComputedScores:
    """Logits that the model has computed already."""

    values: Tensor

    def logits(self) -> Tensor:
        """[rows, classes]"""
        return self.values

    def loss(self, labels: Tensor) -> Tensor:
        """Sum of the cross-entropies against `labels` [rows], in nats."""
        return F.cross_entropy(self.values.float(), labels, reduction="sum")


@dataclass(frozen=True, slots=True)
class Projection:
    """Hidden states before a frozen head, with or without a LoRA: rows Wᵀ + low upᵀ.

    Attributes:
        rows: [rows, dim].
        weight: W, [classes, dim].
        low: scale · rows Aᵀ, [rows, rank]; None without an adapter.
        up: B, [classes, rank]; None without an adapter.
    """

    rows: Tensor
    weight: Tensor
    low: Tensor | None = None
    up: Tensor | None = None

    def logits(self) -> Tensor:
        """[rows, classes]; the adapter's part is computed in the adapter's precision."""
        logits = F.linear(self.rows, self.weight)
        if self.low is None or self.up is None:
            return logits
        return logits + F.linear(self.low, self.up).to(logits.dtype)

    def loss(self, labels: Tensor) -> Tensor:
        """Sum of the cross-entropies against `labels` [rows], in nats, without all logits in
        memory."""
        return cross_entropy_sum(self.rows, self.weight, labels, self.low, self.up)


Head = Literal["token", "code"]


@dataclass(frozen=True, slots=True)
class HeadLoss:
    """The loss of one head over a batch."""

    total: Tensor
    """sum of the cross-entropies, in nats"""
    count: int
    """number of labels"""


@dataclass(frozen=True, slots=True)
class Predictions:
    """The model's predictions at label positions, with the labels.

    Attributes:
        tokens: scores of row 0.
        token_labels: [labels].
        codes: scores of the second network, frame by frame; None without one.
        code_labels: [frames, rows - 1]; None without a second network.
    """

    tokens: Scores
    token_labels: Tensor
    codes: Scores | None = None
    code_labels: Tensor | None = None

    def losses(self) -> dict[Head, HeadLoss]:
        """Sums and counts by head."""
        losses: dict[Head, HeadLoss] = {
            "token": HeadLoss(self.tokens.loss(self.token_labels), self.token_labels.numel())
        }
        if self.codes is not None and self.code_labels is not None:
            total = self.codes.loss(self.code_labels.flatten())
            losses["code"] = HeadLoss(total, self.code_labels.numel())
        return losses

    def logits(self) -> dict[Head, Tensor]:
        """By head: [labels, classes] and [frames, rows - 1, classes]."""
        logits: dict[Head, Tensor] = {"token": self.tokens.logits()}
        if self.codes is not None and self.code_labels is not None:
            logits["code"] = self.codes.logits().view(*self.code_labels.shape, -1)
        return logits

    def codes_in_top(self, k: int) -> int:
        """The number of codes among the k likeliest of their codebook.

        Without a second network it counts the labels of row 0.
        """
        logits = self.logits()
        head, labels = logits["token"], self.token_labels
        if self.code_labels is not None:
            head, labels = logits["code"], self.code_labels
        best = head.topk(min(k, head.shape[-1]), dim=-1).indices
        return int((best == labels[..., None]).any(-1).sum())


class BaseModel(Protocol):
    """A base model whose configuration and tokenizer are read, but not its weights."""

    @property
    def shape(self) -> ModelShape:
        """Sizes and counts."""
        ...

    @property
    def targets(self) -> Mapping[Target, tuple[str, ...]]:
        """The modules that an adapter may change, by the configuration's names for them."""
        ...

    @property
    def prompt(self) -> Prompt:
        """The prompt that `encode` puts around a text."""
        ...

    def encode(self, text: str, codes: npt.NDArray[np.int64]) -> Example:
        """An utterance in its prompt; codes are int64 [codebooks, frames]."""
        ...

    def synthesise(
        self, model: nn.Module, request: SpeechRequest, on_frame: Callable[[int], None]
    ) -> Speech:
        """Generates the codes of a text.

        Args:
            model: as `load` gives it, with or without an adapter on it, not in training mode.
            on_frame: gets the number of frames after each.

        Raises SpeechProblem: the text is too long, or the model takes no references.
        """
        ...

    def load(self, dtype: torch.dtype) -> nn.Module:
        """Loads the frozen weights in `dtype` on the CPU; the model maps `Batch` → `Predictions`.

        Raises BaseModelProblem: weights are missing, unexpected or misshapen; each is named.
        """
        ...


class BaseModelFamily(Protocol):
    """Base models whose folders are read in the same way."""

    @property
    def name(self) -> str:
        """The value of `ModelShape.family`."""
        ...

    def open(self, config: BaseModelConfig, prompt: Prompt | None = None) -> BaseModel:
        """Reads the tokenizer, but not the weights.

        Args:
            config: of a model of this family.
            prompt: of this family; None is the one that the model is served with.

        Raises BaseModelProblem: the tokenizer is missing or malformed, or does not fit the model.
        """
        ...
