"""The recordings of the data, as codes or as sound, with their texts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from fintts_cli.sound_packages import require_readers
from fintts_inputs.data.files import read_text
from fintts_inputs.data.pairs import find_pairs
from fintts_inputs.recordings.files import only_recordings_in
from fintts_inputs.recordings.timed import name_of_piece
from fintts_inputs.recordings.transcripts import as_in_a_file, read_transcripts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Original(NamedTuple):
    """One utterance: the file of its codes or of its sound, and what reads its text. A part of a
    long recording has no file."""

    path: Path | None
    read: Callable[[], str]


def originals_in(data: Path) -> dict[str, Original]:
    """The utterances of a data folder by their names, sorted as a run sorts them.

    Raises:
        UsageProblem: the packages that read recordings are not installed.
        InputError: the folder cannot be opened, or has no utterances.
    """
    found = only_recordings_in(data)
    if found is None:
        pairs = find_pairs(data)
        return {
            name: Original(files.codes, partial(_text_in, files.text))
            for name, files in pairs.items()
        }
    require_readers()
    transcripts = read_transcripts(found)
    originals = {
        name: Original(found.audio[name], partial(as_in_a_file, spoken.text))
        for name, spoken in transcripts.by_name.items()
        if name in found.audio
    }
    for name, cues in transcripts.cues.items():
        for cue in cues:
            read = partial(as_in_a_file, cue.text)
            originals.setdefault(name_of_piece(name, cue), Original(None, read))
    return dict(sorted(originals.items()))


def _text_in(path: Path) -> str:
    return read_text(path).text
