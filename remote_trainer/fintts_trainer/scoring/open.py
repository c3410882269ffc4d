"""Opens the models that measure a run's samples, and lets each hear a sound.

One that fails is left out with a sentence; but what early stopping watches must be there, or the
run does not begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from fintts_inputs.config import MEASURED_BY
from fintts_inputs.data.pairs import split
from fintts_inputs.errors import EvalModelProblem, InputError
from fintts_store.errors import StoreError, first_line
from fintts_store.file_names import DNSMOS, SPEAKER_ENCODER
from fintts_trainer.processes.hang_limits import UNMEASURED_SECONDS
from fintts_trainer.scoring.asr import RATE, Recogniser, open_recogniser
from fintts_trainer.scoring.dnsmos import Dnsmos, open_dnsmos
from fintts_trainer.scoring.required import cannot_stop
from fintts_trainer.scoring.scorer import Scorer, voice_in
from fintts_trainer.scoring.speaker import SpeakerEncoder, open_speaker_encoder, voice_of
from fintts_trainer.session.job import fetch_eval_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fintts_inputs.config import EvalKind
    from fintts_inputs.data.pack import Pack
    from fintts_trainer.codecs.base import Codec, Wave
    from fintts_trainer.data.pack_of_run import PackOfRun
    from fintts_trainer.session.session import StoreSession

VOICE_SECONDS = 30.0
"""of recordings, enough to know a voice by"""
Model = TypeVar("Model")


@dataclass(frozen=True)
class Measures:
    """The models that measure samples, each None if the run has none."""

    recogniser: Recogniser | None
    encoder: SpeakerEncoder | None
    dnsmos: Dnsmos | None

    def scorer(self, session: StoreSession, codec: Codec, source: PackOfRun) -> Scorer:
        """What measures the samples of this run, with the voice of its recordings.

        Raises:
            InputError, StoreError: the recordings cannot be read.
        """
        rate, voice = codec.shape.sample_rate, None
        if self.encoder is not None:
            recordings = list(_recordings(session, codec, source.pack))
            voice = voice_in(self.encoder, recordings, rate)
        return Scorer(
            rate=rate,
            language=session.config.eval.language,
            log=session.log,
            recogniser=self.recogniser,
            encoder=self.encoder,
            voice=voice,
            dnsmos=self.dnsmos,
        )


def open_measures(session: StoreSession, device: torch.device) -> Measures:
    """Opens and tries each model that the run names.

    Raises:
        InputError, StoreError: the one that early stopping watches cannot be used.
    """
    language = session.config.eval.language

    def opened(
        kind: EvalKind, read: Callable[[Path], Model], hear: Callable[[Model, Wave], object]
    ) -> Model | None:
        return _opened(session, kind, read, hear)

    session.progress.begin("opening the models that measure", UNMEASURED_SECONDS, "setup")
    return Measures(
        opened(
            "asr",
            lambda folder: open_recogniser(folder, language, device),
            lambda model, sound: model.heard(sound, session.progress.sign),
        ),
        opened(
            "speaker_encoder",
            lambda folder: open_speaker_encoder(folder / SPEAKER_ENCODER, device),
            lambda model, sound: voice_of(model, [sound]),
        ),
        opened("dnsmos", lambda folder: open_dnsmos(folder / DNSMOS), Dnsmos.overall),
    )


def _opened(
    session: StoreSession,
    kind: EvalKind,
    read: Callable[[Path], Model],
    hear: Callable[[Model, Wave], object],
) -> Model | None:
    monitor = session.config.early_stopping.monitor
    is_watched = MEASURED_BY.get(monitor) == kind
    try:
        folder = fetch_eval_model(session.job, session.record, kind, session.progress.sign)
        if folder is not None:
            return _tried(lambda: read(folder), hear)
        if is_watched:
            raise EvalModelProblem("the run has no such model", "start a new run that names one")
    except (InputError, StoreError) as error:
        if is_watched:
            raise cannot_stop(monitor, error, f"eval.{kind} cannot be used: ") from None
        sentence = f"eval.{kind} measures nothing: {error.message}"
        session.log(sentence)
        session.change_status(message=sentence)
    return None


def _tried(read: Callable[[], Model], hear: Callable[[Model, Wave], object]) -> Model:
    """A model that has heard a second of noise.

    Raises:
        InputError: it cannot be read, or cannot hear.
    """
    noise = np.random.default_rng(0).normal(0.0, 0.05, RATE).astype(np.float32)
    try:
        model = read()
        hear(model, noise)
    except InputError:
        raise
    except torch.OutOfMemoryError:
        raise EvalModelProblem(
            "the GPU's memory is too small for it, too",
            "choose a GPU with more memory, or a smaller model",
        ) from None
    except Exception as error:  # transformers, onnxruntime and torch have no common class
        raise EvalModelProblem(
            f"it hears nothing: {first_line(error)}",
            "use another one: `openai/whisper-small` is known to work as eval.asr",
        ) from None
    return model


def _recordings(session: StoreSession, codec: Codec, pack: Pack) -> Iterator[Wave]:
    """Held-out recordings by the codec, half a minute of them."""
    left = VOICE_SECONDS
    for number in split(pack.names, session.config.validation.fraction).held_out:
        if left <= 0:
            return
        session.progress.sign()
        wave = codec.decode(pack.codes(number).astype(np.int64))
        left -= len(wave) / codec.shape.sample_rate
        yield wave
