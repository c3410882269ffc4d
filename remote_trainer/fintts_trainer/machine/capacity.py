"""Checks by a trial whether the checkpoints of a run fit onto the disk, and its steps into
memory."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from fintts_store.disk.errors import is_full
from fintts_store.errors import StoreFull
from fintts_trainer.errors import DiskTooSmall, MemoryTooSmall
from fintts_trainer.machine.memory import can_measure, free_bytes, need_of_step, usable_bytes
from fintts_trainer.model.lora import trainable
from fintts_trainer.processes.random_state import random_state
from fintts_trainer.session.deadline import measured

if TYPE_CHECKING:
    from collections.abc import Generator

    from fintts_trainer.loop.training import Training

SPARE_CHECKPOINTS = 2
"""one being written and one being uploaded, in addition to those kept"""


def check_disk(training: Training) -> None:
    """Writes a trial checkpoint, and compares the size of those to keep with the free space.

    Raises:
        DiskTooSmall: they do not fit.
    """
    workspace = training.session.job.workspace
    with tempfile.TemporaryDirectory(dir=workspace) as folder:
        with measured(training.session.pace.saves):
            training.write_checkpoint(Path(folder), [random_state()])
        training.eta = training.eta.after_save(training.session.pace.saves[-1])
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    size += missing_moments_bytes(training)
    needed = size * (training.config.checkpoints.keep_last + SPARE_CHECKPOINTS)
    free = shutil.disk_usage(workspace).free
    if free < needed:
        raise DiskTooSmall(
            f"{workspace} has {free / 1e6:.0f} MB free, but the checkpoints to keep take up to "
            f"{needed / 1e6:.0f} MB",
            "free some space there, keep fewer checkpoints, or ask for a larger disk",
        )
    training.session.log(f"a checkpoint takes {size / 1e6:.1f} MB")


@contextmanager
def full_disk_explained(workspace: Path) -> Generator[None]:
    """Turns the block's errors about a full disk into DiskTooSmall."""
    try:
        yield
    except (StoreFull, OSError) as error:
        if isinstance(error, OSError) and not is_full(error):
            raise
        raise DiskTooSmall(
            f"the disk of {workspace} is full: {error}",
            "ask for a larger disk; the run resumes from its newest committed checkpoint, if any",
        ) from error


def missing_moments_bytes(training: Training) -> int:
    """Bytes of AdamW's two moments if it has none yet, before its first step; otherwise 0."""
    if training.adapter.has_moments:
        return 0
    parameters = trainable(training.model).values()
    return 2 * sum(parameter.numel() * parameter.element_size() for parameter in parameters)


def fit_into_memory(training: Training) -> None:
    """Limits the micro-batches to what fits into memory; the steps stay the same.

    A limit of an earlier job stays as long as it fits, so a resumed run adds up in the same order.

    Raises:
        MemoryTooSmall: even the longest utterance alone does not fit.
    """
    device, world = training.world.device, training.world
    if not can_measure(device):
        return
    longest = int(training.feed.dataset.lengths.argmax())
    width = int(training.feed.dataset.lengths[longest])
    try:
        example = training.feed.dataset.example(longest)
        need = need_of_step(
            training.model,
            example,
            device,
            training.adapter.drop,
            compiled=training.is_compiled,
        )
    except torch.OutOfMemoryError:
        raise _too_long(width, None, free_bytes(device)) from None
    usable = usable_bytes(device, world.processes_here) - missing_moments_bytes(training)
    wanted = training.state.memory_tokens or _largest_micro_batch(training, width)
    mine = wanted if need.of(wanted) <= usable else need.most_tokens(usable)
    tokens = -world.highest(-mine)  # the lowest of all processes
    if tokens < width:
        raise _too_long(width, need.of(width), usable)
    if tokens < wanted:
        training.state.memory_tokens = tokens
        training.session.log(
            f"a micro-batch of {wanted:,} tokens would need {need.of(wanted) / 1e9:.1f} GB, but "
            f"{usable / 1e9:.1f} GB are free: micro-batches are limited to {tokens:,} tokens, and "
            "the steps stay the same"
        )
    else:
        training.session.log(
            f"a micro-batch takes up to {need.of(wanted) / 1e9:.2f} GB "
            f"of the {usable / 1e9:.1f} GB free"
        )
    training.feed = replace(training.feed, memory_tokens=training.state.memory_tokens)


def _largest_micro_batch(training: Training, width: int) -> int:
    """Positions of a micro-batch by the configuration alone, padding included."""
    config, processes = training.config.training, training.world.size
    if config.tokens_per_micro_batch is not None:
        return max(config.tokens_per_micro_batch, width)
    share = -(-training.schedule.samples_per_step // processes)
    return width * min(config.batch_size, share)


def _too_long(width: int, needed: float | None, usable: float) -> MemoryTooSmall:
    needs = "more" if needed is None else f"{needed / 1e9:.1f} GB"
    return MemoryTooSmall(
        f"the longest utterance alone, of {width:,} tokens, needs {needs}, "
        f"but {usable / 1e9:.1f} GB of memory are free",
        "set training.gradient_checkpointing: true, leave out the longest utterances, "
        "or use a GPU with more memory",
    )
