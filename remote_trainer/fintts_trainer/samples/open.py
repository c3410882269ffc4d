"""Opens a run's samples: its codec, its sentences, and what is done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from fintts_inputs.codec.find import find_codec_for
from fintts_inputs.errors import InputError
from fintts_store.errors import StoreError
from fintts_store.runs.samples import SampleSet
from fintts_trainer.codecs import open_codec
from fintts_trainer.samples.outbox import Outbox
from fintts_trainer.samples.samples import Samples
from fintts_trainer.samples.sentences import sentences_of
from fintts_trainer.samples.speaker import SampleSpeaker
from fintts_trainer.session.job import fetch_codec

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from fintts_trainer.codecs.base import Codec, Wave
    from fintts_trainer.data.pack_of_run import PackOfRun
    from fintts_trainer.families.base import BaseModel
    from fintts_trainer.processes.world import World
    from fintts_trainer.scoring.scorer import Scorer
    from fintts_trainer.session.session import StoreSession


def open_samples(
    session: StoreSession,
    world: World,
    base: BaseModel,
    source: PackOfRun,
    *,
    is_compiled: bool,
) -> Samples | None:
    """The samples of a run; None if it speaks none, or cannot, which ends no run.

    Args:
        source: the data set.
        is_compiled: whether torch compiles the model's layers.
    """
    config = session.config.samples
    if not config.is_on:
        return None
    try:
        job, record, sign = session.job, session.record, session.progress.sign
        folder = fetch_codec(job, record, sign)
        codec = open_codec(find_codec_for(base.shape, folder), world.device)
        sentences = sentences_of(source, session.config)
    except (InputError, StoreError, torch.OutOfMemoryError) as error:
        why = getattr(error, "message", None) or "the GPU's memory is too small for the codec, too"
        session.log(f"there will be no samples: {why}")
        session.change_status(message=f"there will be no samples: {why}")
        return None
    spoken = SampleSet(
        run=session.job.run,
        claim=session.claim,
        texts=tuple(one.text for one in sentences),
        seed=config.seed,
        max_seconds=config.max_seconds,
    )

    def show(tag: str, wave: Wave, step: int, rate: int) -> None:
        tracker = world.accelerator.get_tracker("tensorboard", unwrap=True)
        writer = cast("SummaryWriter", tracker)  # accelerate types what it wraps, not what it holds
        writer.add_audio(tag, np.clip(wave, -1.0, 1.0)[None], step, rate)

    speaker = SampleSpeaker(base, codec, sentences, config)
    outbox = Outbox(session.job.store, session.log)
    return Samples(
        speaker,
        spoken,
        outbox,
        session.log,
        show,
        is_compiled=is_compiled,
        scorer=_scorer(session, codec, source, world.device),
    )


def _scorer(
    session: StoreSession, codec: Codec, source: PackOfRun, device: torch.device
) -> Scorer | None:
    """What measures the samples; None if the run has no model for that."""
    if not session.record.eval_models:
        return None
    from fintts_trainer.scoring.open import open_scorer  # only such a run has its packages

    try:
        return open_scorer(session, codec, source, device)
    except (InputError, StoreError) as error:
        session.log(f"the samples are not measured: {error.message}")
        return None
