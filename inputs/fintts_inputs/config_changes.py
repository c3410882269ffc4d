"""How two configurations differ, and which of their fields --force may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

FORCIBLE = frozenset(
    {
        "lora.dropout",
        "training.max_steps",
        "training.learning_rate",
        "training.warmup_steps",
        "training.max_grad_norm",
        "training.tokens_per_micro_batch",
        "training.gradient_checkpointing",
        "training.compile",
        "validation.every",
        "early_stopping.enabled",
        "early_stopping.patience",
        "early_stopping.min_delta",
        "checkpoints.every",
        "checkpoints.keep_last",
        "checkpoints.keep_best",
        "samples.texts",
        "samples.held_out",
        "samples.every",
        "samples.max_seconds",
        "samples.seconds_a_check",
        "samples.seed",
        "eval.language",
        "replan.min_checks",
        "replan.on_overrun",
    }
)
"""The fields that --force can change. They do not affect the meaning of what was trained so far.
The others are the adapter's shape and scale, whatever decides which samples a step reads or are
held out, and what makes losses incomparable (precision, the monitored value). Where early stopping
watches the samples, --force changes nothing in SPOKEN either."""

SPOKEN = frozenset(
    {
        "samples.texts",
        "samples.held_out",
        "samples.every",
        "samples.max_seconds",
        "samples.seed",
        "eval.language",
    }
)
"""The fields on which measurements of the samples depend."""


class Change(NamedTuple):
    """A field that differs between two configurations."""

    key: str
    before: object
    after: object
    is_forcible: bool
    """whether --force allows it"""

    def __str__(self) -> str:
        return f"{self.key}: {self.before} → {self.after}"


def differing(
    mine: Mapping[str, object], theirs: Mapping[str, object], *, watches_samples: bool
) -> list[Change]:
    """Each field that differs, by its dotted name.

    Args:
        watches_samples: whether early stopping does, which makes SPOKEN part of the measurement.
    """
    before, after = flat(mine), flat(theirs)
    forcible = FORCIBLE - SPOKEN if watches_samples else FORCIBLE
    return [
        Change(key, before[key], after[key], key in forcible)
        for key in sorted(before)
        if before[key] != after[key]
    ]


def flat(content: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """{"a": {"b": 1}} → {"a.b": 1}"""
    found: dict[str, object] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found |= flat({str(k): v for k, v in value.items()}, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
