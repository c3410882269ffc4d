"""Encodes a recording to hear, or of a reference voice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.errors import SpeechProblem
from fintts_inputs.recordings.sound import Unreadable
from fintts_inputs.recordings.survey import limits_of, measured
from fintts_inputs.recordings.utterance import prepared

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_trainer.codecs.base import Codec, Codes


def encoded(what: str, path: Path, codec: Codec) -> Codes:
    """A recording as codes, cut and raised as `fintts data encode` does it.

    Args:
        what: names it in errors: `reference`.

    Raises:
        SpeechProblem: it cannot be read, or is too long or too short.
    """
    shape = codec.shape
    try:
        found = measured(what, path.name, path, None, limits_of(shape, None))
        samples = prepared(
            path, found.digest, found.begin, found.end, found.gain, shape.sample_rate
        )
    except Unreadable as error:
        raise SpeechProblem(
            f"the {what} {path} {error}", "give a WAV or FLAC file of a few seconds of speech"
        ) from None
    return codec.encode([samples])[0]
