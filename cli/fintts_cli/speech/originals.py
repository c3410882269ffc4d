"""The recordings of the data, as codes or as sound, with their texts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from fintts_cli.sound_packages import require_readers
from fintts_inputs.data.files import read_text
from fintts_inputs.data.pairs import find_pairs
from fintts_inputs.recordings.files import only_recordings_in
from fintts_inputs.recordings.transcripts import as_in_a_file, read_transcripts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Original(NamedTuple):
    """One utterance: the file of its codes or of its sound, and what reads its text."""

    path: Path
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
    texts = read_transcripts(found).by_name
    return {
        name: Original(path, partial(as_in_a_file, texts[name].text))
        for name, path in found.audio.items()
        if name in texts
    }


def _text_in(path: Path) -> str:
    return read_text(path).text
