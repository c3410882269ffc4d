"""The configuration of a run: data, base model, adapter, training. Frozen, and strict about unknown
keys."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    model_validator,
)

from fintts_inputs.config_changes import SPOKEN, Change, differing, flat
from fintts_store.output.visible import is_visible

Target = Literal["attention", "mlp", "embeddings", "heads"]
Monitor = Literal[
    "val/loss", "train/loss", "val/top5_accuracy", "eval/cer", "eval/similarity", "eval/dnsmos"
]
Precision = Literal["auto", "fp32", "bf16"]
EvalKind = Literal["asr", "speaker_encoder", "dnsmos"]

HIGHER_IS_BETTER = frozenset({"val/top5_accuracy", "eval/similarity", "eval/dnsmos"})
MEASURED_BY: dict[Monitor, EvalKind] = {
    "eval/cer": "asr",
    "eval/similarity": "speaker_encoder",
    "eval/dnsmos": "dnsmos",
}
"""monitor → the model in `eval` that measures it, on samples"""


PLACES: dict[str, bool | set[str]] = {
    "data": True,
    "base_model": True,
    "initial_adapter": True,
    "eval": {"asr", "speaker_encoder", "dnsmos"},
}
"""The inputs. run.json has their digests, so their places do not matter."""


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

    @property
    def watches_samples(self) -> bool:
        """Whether the monitored value is measured on what the run speaks."""
        return self.monitor in MEASURED_BY

    @model_validator(mode="after")
    def _mode_suits_the_monitor(self) -> EarlyStoppingConfig:
        wanted = "max" if self.monitor in HIGHER_IS_BETTER else "min"
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


class EvalConfig(Section):
    """What is measured on the samples, each with a model of its own; off without it."""

    asr: Annotated[str, Field(min_length=1)] | None = None
    """the folder of a speech recogniser as transformers reads it, for the character error rate; on
    the laptop also its id on Hugging Face"""
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] = "fi"
    """of the sentences, as Whisper names it"""
    speaker_encoder: Path | None = None
    """Resemblyzer's pretrained.pt, for the similarity to the recordings"""
    dnsmos: Path | None = None
    """DNSMOS's sig_bak_ovr.onnx"""

    @property
    def kinds(self) -> tuple[EvalKind, ...]:
        """The models that are named."""
        return tuple(kind for kind in MEASURED_BY.values() if getattr(self, kind) is not None)


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
    eval: EvalConfig = Field(default_factory=EvalConfig)
    replan: ReplanConfig = Field(default_factory=ReplanConfig)


class RunConfig(TrainingSections):
    """Everything that the result of a run depends on."""

    data: Path
    base_model: Path
    initial_adapter: Path | None = None
    """the path of the adapter to start from, on the laptop"""

    def digest(self) -> str:
        """SHA-256 of everything that the result depends on, without the places of the inputs and
        without `replan`, which only decides when to give up. What is spoken changes no weight, so
        it counts only where early stopping watches it."""
        content = self._comparable()
        spoken = {key: value for key, value in flat(content).items() if key in SPOKEN}
        del content["samples"], content["eval"], content["replan"]
        if self.early_stopping.watches_samples:
            content["spoken"] = spoken
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: RunConfig) -> list[Change]:
        """Each field that differs, without places."""
        watched = self.early_stopping.watches_samples
        return differing(self._comparable(), other._comparable(), watches_samples=watched)

    def _comparable(self) -> dict[str, Any]:
        """Without places, and with `compile: auto` as false, the default that earlier versions
        recorded: an earlier run goes on without --force."""
        content = self.model_dump(mode="json", exclude=PLACES)
        if self.training.compile == "auto":
            content["training"]["compile"] = False
        return content
