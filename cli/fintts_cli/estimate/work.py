"""The work of a step and of a check, and the time that a GPU is forecast to need for it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.settings.gpus import parse_gpus
from fintts_cost.pace.flops import FLOPS_PER_FROZEN_PARAMETER, FLOPS_PER_TRAINED_PARAMETER
from fintts_cost.pace.throughput import Work, step_seconds

if TYPE_CHECKING:
    from fintts_cli.estimate.figures import Workload
    from fintts_cost.interval import Interval
    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.config import LoraConfig, TrainingConfig

TRAINED_TIMES = FLOPS_PER_TRAINED_PARAMETER / FLOPS_PER_FROZEN_PARAMETER
"""FLOPs of a trained weight, in those of a frozen one: it has a gradient of its own"""


def flops_of_utterance(shape: ModelShape, lora: LoraConfig, workload: Workload) -> float:
    """Model FLOPs of training on one utterance of mean length, with the adapter's own."""
    trained = shape.lora_parameters(lora.rank, lora.targets) / shape.parameters
    frozen = shape.training_flops(workload.text_tokens, workload.frames)
    return frozen * (1 + TRAINED_TIMES * trained)


def samples_per_step(training: TrainingConfig) -> int:
    """Utterances in all micro-batches of a step."""
    return training.batch_size * training.gradient_accumulation


def work_of_step(
    shape: ModelShape,
    lora: LoraConfig,
    training: TrainingConfig,
    workload: Workload,
    parts: int = 1,
) -> Work:
    """The work of one step.

    Args:
        parts: into how many micro-batches a batch is split to fit in memory.
    """
    return Work(
        flops=samples_per_step(training) * flops_of_utterance(shape, lora, workload),
        layers=sum(stack.layers for stack in shape.stacks),
        micro_batches=training.gradient_accumulation * parts,
    )


def seconds_on(work: Work, gpus: str) -> Interval:
    """The forecast time of a step on GPUs that are named as in `--gpus`."""
    accelerator, count = parse_gpus(gpus)
    return step_seconds(work, accelerator, count)
