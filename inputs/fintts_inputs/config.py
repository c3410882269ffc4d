"""The configuration of a run: data, base model, adapter, training. Frozen, and strict about unknown
keys."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    model_validator,
)

from fintts_store.visible import is_visible

Target = Literal["attention", "mlp", "embeddings", "heads"]
Monitor = Literal["val/loss", "train/loss", "val/top5_accuracy"]
Precision = Literal["auto", "fp32", "bf16"]


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
        "replan.min_checks",
        "replan.on_overrun",
    }
)
"""The fields that --force can change. They do not affect the meaning of what was trained so far.
The others are the adapter's shape and scale, whatever decides which samples a step reads or are
held out, and what makes losses incomparable (precision, the monitored value)."""


PLACES = {"data", "base_model", "initial_adapter"}
"""The inputs. run.json has their digests, so their places do not matter."""


class Change(NamedTuple):
    """A field that differs between two configurations."""

    key: str
    before: object
    after: object

    def __str__(self) -> str:
        return f"{self.key}: {self.before} → {self.after}"

    @property
    def is_forcible(self) -> bool:
        """Whether --force allows it."""
        return self.key in FORCIBLE


def _a_number(value: object) -> object:
    """Otherwise true would be read as 1, and text as the number it spells."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a number is needed, not {str(value).lower()}")
    return value


Whole = Annotated[int, BeforeValidator(_a_number), Field(le=1_000_000_000)]
Count = Annotated[Whole, Field(ge=1)]
Number = Annotated[float, BeforeValidator(_a_number), Field(allow_inf_nan=False)]
PositiveFloat = Annotated[Number, Field(gt=0)]
Flag = Annotated[bool, Strict()]


class Section(BaseModel):
    """A section of the configuration: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class LoraConfig(Section):
    """The adapter: y = W x + (alpha / rank) B A x (Hu et al. 2021, arXiv:2106.09685)."""

    rank: Annotated[Whole, Field(ge=1, le=1024)] = 8
    alpha: Count = 16
    dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    targets: Annotated[tuple[Target, ...], Field(min_length=1)] = (
        "attention",
        "mlp",
        "embeddings",
        "heads",
    )

    @model_validator(mode="after")
    def _each_target_once(self) -> LoraConfig:
        if len(set(self.targets)) != len(self.targets):
            raise ValueError("name each target once")
        return self


class TrainingConfig(Section):
    """The optimisation. A step is one optimizer update of batch_size × gradient_accumulation."""

    batch_size: Count = 8
    gradient_accumulation: Count = 1
    tokens_per_micro_batch: Count | None = None
    """None: a micro-batch is batch_size samples. Otherwise the samples of a step are divided into
    micro-batches of at most that many tokens, including padding; the step stays the same."""
    bucketing: Flag = True
    """A step reads samples of similar length, which reduces padding. Each epoch still reads every
    sample once, and its steps come in random order."""
    max_steps: Count = 3000
    learning_rate: PositiveFloat = 1e-4
    warmup_steps: Annotated[Whole, Field(ge=0)] = 10
    max_grad_norm: PositiveFloat = 1.0
    seed: Annotated[int, BeforeValidator(_a_number), Field(ge=0, lt=2**32)] = 42
    precision: Precision = "auto"
    """`auto` is bf16 for the frozen base on a GPU and fp32 on a CPU; the adapter is always fp32."""
    gradient_checkpointing: Flag = False
    """Layers recompute their activations in backward: on a scaled S1-mini (benchmarks/step.py) a
    twelfth of the memory for a tenth more time. The result is the same."""
    compile: Flag | Literal["auto"] = "auto"
    """torch.compile on each layer: a minute or more before the first step, then 3 % less time and
    13 % less memory on a scaled S1-mini on a CPU (benchmarks/step.py). It was not measured on a
    GPU. `auto` compiles on a GPU if torch can, and not on a CPU. The result is the same within
    rounding."""


class ValidationConfig(Section):
    """Which utterances are held out, and how often the run validates."""

    every: Count = 100
    """steps"""
    fraction: Annotated[Number, Field(gt=0, lt=1)] = 0.1


class EarlyStoppingConfig(Section):
    """Ends a run that no longer improves, by the rule in fintts_cost.training.early_stopping."""

    enabled: Flag = True
    monitor: Monitor = "val/loss"
    mode: Literal["min", "max"] = "min"
    patience: Count = 5
    """validation checks, not steps"""
    min_delta: Annotated[Number, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _mode_suits_the_monitor(self) -> EarlyStoppingConfig:
        wanted = "max" if self.monitor == "val/top5_accuracy" else "min"
        if self.mode != wanted:
            raise ValueError(f"{self.monitor} is monitored with mode {wanted}")
        return self


class CheckpointConfig(Section):
    """How often a checkpoint is committed, and which ones are kept."""

    every: Count = 100
    """steps"""
    keep_last: Count = 5
    keep_best: Flag = True


def _sentence(text: str) -> str:
    """In NFC, without blanks at its ends."""
    found = unicodedata.normalize("NFC", text).strip()
    if not found or not is_visible(found):
        raise ValueError("each text must be one line of visible characters")
    return found


class SamplesConfig(Section):
    """What a run speaks while it trains: the same sentences, with the same seed, by the base model
    and after validation checks. Off without texts and held-out utterances."""

    texts: Annotated[
        tuple[Annotated[str, Field(max_length=500), AfterValidator(_sentence)], ...],
        Field(max_length=20),
    ] = ()
    held_out: Annotated[Whole, Field(ge=0, le=20)] = 0
    """utterances that are not trained on, beside their recordings"""
    every: Count = 1
    """validation checks"""
    max_seconds: Annotated[PositiveFloat, Field(le=60)] = 15.0
    """where a sample without an end is cut"""
    seconds_a_check: Annotated[PositiveFloat, Field(le=240)] = 30.0
    """the most that all samples of a check may take; what does not fit is left out"""
    seed: Annotated[int, BeforeValidator(_a_number), Field(ge=0, lt=2**32)] = 0

    @property
    def is_on(self) -> bool:
        """Whether the run speaks."""
        return bool(self.texts) or self.held_out > 0


class ReplanConfig(Section):
    """What a run does that finds, after 20 measured steps, that its deadline comes too soon."""

    min_checks: Count = 3
    """validation checks: a run that ends with fewer is of no use"""
    on_overrun: Literal["continue", "stop"] = "continue"
    """`stop` ends it at once, with its checkpoint; either way it says so"""


class TrainingSections(Section):
    """The settings of training, without the inputs."""

    lora: LoraConfig = Field(default_factory=LoraConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    validation: ValidationConfig = Field(default_factory=ValidationConfig)
    early_stopping: EarlyStoppingConfig = Field(default_factory=EarlyStoppingConfig)
    checkpoints: CheckpointConfig = Field(default_factory=CheckpointConfig)
    samples: SamplesConfig = Field(default_factory=SamplesConfig)
    replan: ReplanConfig = Field(default_factory=ReplanConfig)


class RunConfig(TrainingSections):
    """Everything that the result of a run depends on."""

    data: Path
    base_model: Path
    initial_adapter: Path | None = None
    """the path of the adapter to start from, on the laptop"""

    def digest(self) -> str:
        """SHA-256 of everything that the result depends on, without the places of the inputs and
        without `samples` and `replan`: what is spoken changes no weight, and `replan` only decides
        when to give up."""
        content = self._comparable()
        del content["samples"], content["replan"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: RunConfig) -> list[Change]:
        """Each field that differs, without places."""
        mine, theirs = _flat(self._comparable()), _flat(other._comparable())
        return [
            Change(key, mine[key], theirs[key]) for key in sorted(mine) if mine[key] != theirs[key]
        ]

    def _comparable(self) -> dict[str, Any]:
        """Without places, and with `compile: auto` as false, the default that earlier versions
        recorded: an earlier run goes on without --force."""
        content = self.model_dump(mode="json", exclude=PLACES)
        if self.training.compile == "auto":
            content["training"]["compile"] = False
        return content


def _flat(content: dict[str, object], prefix: str = "") -> dict[str, object]:
    """{"a": {"b": 1}} → {"a.b": 1}"""
    flat: dict[str, object] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flat({str(k): v for k, v in value.items()}, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
