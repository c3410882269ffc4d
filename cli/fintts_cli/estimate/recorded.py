"""How much recordings are, by the headers of their files: an estimate reads no sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.estimate.figures import RecordedWork
from fintts_cli.estimate.workload import workload_of_lengths
from fintts_inputs.base_model.families import read_config
from fintts_inputs.codec.find import find_codec_for
from fintts_inputs.codec.shape import CodecShape
from fintts_inputs.errors import DataProblem, InputError
from fintts_inputs.recordings.sound import announced_seconds
from fintts_inputs.recordings.timed import name_of_piece
from fintts_inputs.recordings.transcripts import read_transcripts

if TYPE_CHECKING:
    from fintts_inputs.recordings.files import Recordings

ASSUMED = CodecShape("OpenAudio S1's, assumed", 44_100, 2048, (4096, *9 * (1024,)), 4096)
"""where no codec is at hand"""


def work_of_files(recordings: Recordings, base_model: object, fraction: float) -> RecordedWork:
    """How much training on them would be, and how much speech has to be encoded. Silence at the
    ends counts as speech.

    Raises:
        DataProblem: there are too few, or none has a text.
    """
    codec = _codec_shape(base_model)
    transcripts = read_transcripts(recordings)
    texts = transcripts.by_name
    each = {
        name: (len(texts[name].text.encode()), length)
        for name, path in recordings.audio.items()
        if name in texts and (length := announced_seconds(path)) is not None
    }
    each |= {
        name_of_piece(name, cue): (len(cue.text.encode()), cue.seconds)
        for name, cues in transcripts.cues.items()
        for cue in cues
    }
    if not each:
        folder = recordings.folder
        raise DataProblem(
            f"{folder} has no recording with a text", f"`fintts data check {folder}` says why"
        )
    seconds = sum(length for _, length in each.values())
    return RecordedWork(workload_of_lengths(each, codec.frames_per_second, fraction), seconds)


def _codec_shape(base_model: object) -> CodecShape:
    if not isinstance(base_model, Path) or not base_model.exists():
        return ASSUMED
    try:
        return find_codec_for(read_config(base_model).shape, base_model).shape
    except InputError:  # a launch refuses it
        return ASSUMED
