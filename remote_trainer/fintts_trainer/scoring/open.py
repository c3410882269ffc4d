"""Opens the models that measure a run's samples; one that fails is left out with a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from fintts_inputs.data.pairs import split
from fintts_inputs.errors import InputError
from fintts_store.errors import StoreError
from fintts_store.file_names import DNSMOS, SPEAKER_ENCODER
from fintts_trainer.scoring.asr import open_recogniser
from fintts_trainer.scoring.dnsmos import open_dnsmos
from fintts_trainer.scoring.scorer import Scorer, voice_in
from fintts_trainer.scoring.speaker import open_speaker_encoder
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


def open_scorer(
    session: StoreSession, codec: Codec, source: PackOfRun, device: torch.device
) -> Scorer:
    """The measures whose models this run has."""
    language, rate = session.config.eval.language, codec.shape.sample_rate

    def opened(kind: EvalKind, read: Callable[[Path], Model]) -> Model | None:
        return _opened(session, kind, read)

    encoder = opened(
        "speaker_encoder", lambda folder: open_speaker_encoder(folder / SPEAKER_ENCODER, device)
    )
    voice = None
    if encoder is not None:
        recordings = list(_recordings(session, codec, source.pack))
        voice = voice_in(encoder, recordings, rate)
    return Scorer(
        rate=rate,
        language=language,
        log=session.log,
        recogniser=opened("asr", lambda folder: open_recogniser(folder, language, device)),
        encoder=encoder,
        voice=voice,
        dnsmos=opened("dnsmos", lambda folder: open_dnsmos(folder / DNSMOS)),
    )


def _opened(session: StoreSession, kind: EvalKind, read: Callable[[Path], Model]) -> Model | None:
    try:
        folder = fetch_eval_model(session.job, session.record, kind, session.progress.sign)
        return None if folder is None else read(folder)
    except (InputError, StoreError, torch.OutOfMemoryError) as error:
        why = getattr(error, "message", None) or "the GPU's memory is too small for it, too"
        sentence = f"eval.{kind} measures nothing: {why}"
        session.log(sentence)
        session.change_status(message=sentence)
        return None


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
