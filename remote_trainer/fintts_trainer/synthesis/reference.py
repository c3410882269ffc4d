"""Encodes the recording of a reference voice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.errors import SpeechProblem
from fintts_inputs.recordings.sound import Unreadable
from fintts_inputs.recordings.survey import limits_of, measured
from fintts_inputs.recordings.utterance import prepared
from fintts_trainer.synthesis.request import Reference

if TYPE_CHECKING:
    from fintts_inputs.speech.plan import ReferenceRecording
    from fintts_trainer.codecs.base import Codec


def encoded(recording: ReferenceRecording, codec: Codec) -> Reference:
    """A recording as codes, cut and raised as `fintts data encode` does it.

    Raises:
        SpeechProblem: it cannot be read, or is too long or too short.
    """
    path, shape = recording.path, codec.shape
    try:
        found = measured("reference", path.name, path, None, limits_of(shape, None))
        samples = prepared(
            path, found.digest, found.begin, found.end, found.gain, shape.sample_rate
        )
    except Unreadable as error:
        raise SpeechProblem(
            f"the reference {path} {error}", "give a WAV or FLAC file of a few seconds of speech"
        ) from None
    return Reference(recording.text, codec.encode([samples])[0])
