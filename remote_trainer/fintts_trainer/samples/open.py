"""Opens a run's samples: what measures them, its codec, and its sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from fintts_inputs.codec.find import find_codec_for
from fintts_inputs.errors import CodecProblem, DataProblem, EvalModelProblem, InputError
from fintts_store.errors import StoreError
from fintts_store.runs.samples import SampleSet
from fintts_trainer.codecs import open_codec
from fintts_trainer.samples.outbox import Outbox
from fintts_trainer.samples.samples import Samples
from fintts_trainer.samples.sentences import sentences_of
from fintts_trainer.samples.speaker import SampleSpeaker
from fintts_trainer.scoring.required import cannot_stop
from fintts_trainer.session.job import fetch_codec
from fintts_trainer.session.session import StoreSession

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from fintts_inputs.config import Monitor
    from fintts_trainer.codecs.base import Wave
    from fintts_trainer.data.pack_of_run import PackOfRun
    from fintts_trainer.families.base import BaseModel
    from fintts_trainer.processes.world import World
    from fintts_trainer.scoring.open import Measures
    from fintts_trainer.session.session import Session


def open_measures(session: Session, world: World) -> Measures | None:
    """Opens the models that measure what a run speaks, before anything else takes time; None if it
    has none, or in another than the first process.

    Raises:
        InputError, StoreError: early stopping could not watch what it is to watch.
    """
    config = session.config
    if not isinstance(session, StoreSession) or not config.samples.is_on:
        return None
    if not session.record.eval_models and not config.early_stopping.watches_samples:
        return None
    try:
        from fintts_trainer.scoring.open import open_measures  # only such a run has its packages
    except ImportError as error:
        sentence = f"the package {error.name} that measures samples is not installed"
        if config.early_stopping.watches_samples:
            problem = EvalModelProblem(sentence, "pip install 'fintts[trainer,eval]'")
            raise cannot_stop(config.early_stopping.monitor, problem) from None
        session.log(f"the samples are not measured: {sentence}")
        return None
    return open_measures(session, world.device)


def open_samples(
    session: StoreSession,
    world: World,
    base: BaseModel,
    source: PackOfRun,
    measures: Measures | None,
    *,
    is_compiled: bool,
) -> Samples | None:
    """The samples of a run; None if it speaks none, or cannot, which ends no run that could stop
    without.

    Args:
        source: the data set.
        measures: of the run.
        is_compiled: whether torch compiles the model's layers.

    Raises:
        InputError, StoreError: early stopping watches them, and they cannot be spoken or measured.
    """
    config = session.config
    if not config.samples.is_on:
        return None
    try:
        samples = _opened(session, world, base, source, is_compiled=is_compiled)
        if measures is not None:
            samples.scorer = measures.scorer(session, samples.speaker.codec, source)
        if config.early_stopping.watches_samples:
            _refuse_deaf(config.early_stopping.monitor, samples)
    except (InputError, StoreError, torch.OutOfMemoryError) as error:
        _go_on_without(session, error)
        return None
    return samples


def _go_on_without(
    session: StoreSession, error: InputError | StoreError | torch.OutOfMemoryError
) -> None:
    """Says why there are no samples, and ends the run if early stopping watches them."""
    if isinstance(error, torch.OutOfMemoryError):
        error = CodecProblem(
            "the GPU's memory is too small for the codec, too", "choose a GPU with more memory"
        )
    stopping = session.config.early_stopping
    if stopping.watches_samples:
        raise cannot_stop(stopping.monitor, error)
    sentence = f"there will be no samples: {error.message}"
    session.log(sentence)
    session.change_status(message=sentence)


def _opened(
    session: StoreSession,
    world: World,
    base: BaseModel,
    source: PackOfRun,
    *,
    is_compiled: bool,
) -> Samples:
    job, record, config = session.job, session.record, session.config.samples
    folder = fetch_codec(job, record, session.progress.sign)
    codec = open_codec(find_codec_for(base.shape, folder), world.device)
    sentences = sentences_of(source, session.config)
    spoken = SampleSet(
        run=job.run,
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
    outbox = Outbox(job.store, session.log)
    return Samples(speaker, spoken, outbox, session.log, show, is_compiled=is_compiled)


def _refuse_deaf(monitor: Monitor, samples: Samples) -> None:
    """Refuses samples on which the monitor could never have a value."""
    texts = [one.text for one in samples.speaker.sentences]
    if not texts:
        raise DataProblem("no held-out utterance has a text to speak", "set samples.texts")
    why = None if samples.scorer is None else samples.scorer.obstacle(monitor, texts)
    if why is not None:
        raise DataProblem(why, "choose another early_stopping.monitor, or other data")
