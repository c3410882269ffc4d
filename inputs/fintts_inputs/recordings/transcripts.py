"""The text of each recording: beside it, or in a list of the whole folder.

Supported are .lab and .txt beside the recording, LJSpeech's metadata.csv, JSON lines as NeMo and
others write them, the metadata of a Hugging Face audiofolder, and texts with times (.srt, .vtt).
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from fintts_inputs.data.files import read_text
from fintts_inputs.folder import Problem, nfc
from fintts_inputs.recordings.files import AUDIO
from fintts_inputs.recordings.timed import in_sentences, read_timed
from fintts_store.disk.reading import read_limited
from fintts_store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fintts_inputs.recordings.files import Recordings
    from fintts_inputs.recordings.timed import Cue
    from fintts_inputs.text.finnish_numbers import Spelling

    Spell = Callable[[str], tuple[str, tuple[Spelling, ...]]]

LARGEST_LIST_BYTES = 256 * 1024**2
LJSPEECH = "metadata.csv"
DOCUMENTS = ("readme", "license", "licence", "copying", "notice", "changelog")
"""texts about the recordings, not of one"""
AUDIO_KEYS = ("audio_filepath", "file_name", "audio", "file", "path", "wav")
TEXT_KEYS = ("text", "transcription", "transcript", "sentence", "normalized_text")
SPEAKER_KEYS = ("speaker", "speaker_id", "speaker_name")


@dataclass(frozen=True, slots=True)
class Spoken:
    """The text of a recording; `place` is its file, with the line in a list."""

    text: str
    place: str
    speaker: str = ""


@dataclass(slots=True)
class Transcripts:
    """The texts by the names of the recordings, and the problems found."""

    by_name: dict[str, Spoken] = field(default_factory=dict[str, Spoken])
    problems: list[Problem] = field(default_factory=list[Problem])
    cues: dict[str, list[Cue]] = field(default_factory=dict[str, "list[Cue]"])
    """the sentences by whose times a recording is cut; its name is not in `by_name`"""
    timed: dict[str, str] = field(default_factory=dict[str, str])
    """the file of the times, by the same names"""
    warnings: list[Problem] = field(default_factory=list[Problem])

    def place_of(self, name: str, cue: Cue) -> str:
        """Where a sentence with times begins."""
        return f"{self.timed[name]}, cue {cue.number}"

    def spell_out(self, spell: Spell) -> list[Problem]:
        """Puts numbers and abbreviations of each text into words; returns each change by place."""
        changes: list[Problem] = []
        for name, spoken in self.by_name.items():
            text, found = spell(spoken.text)
            self.by_name[name] = replace(spoken, text=text)
            changes += [Problem(spoken.place, f"{one} → {words}") for one, words in found]
        for name, cues in self.cues.items():
            spelled = [(cue, *spell(cue.text)) for cue in cues]
            self.cues[name] = [cue._replace(text=text) for cue, text, _ in spelled]
            changes += [
                Problem(self.place_of(name, cue), f"{one} → {words}")
                for cue, _, found in spelled
                for one, words in found
            ]
        return changes


def read_transcripts(recordings: Recordings) -> Transcripts:
    """Reads every text; one beside the recording takes precedence over one in a list, and a text
    with times counts where there is no other."""
    found = Transcripts()
    for name, path in recordings.texts.items():
        shown = recordings.name_of(path)
        transcript = read_text(path)
        if transcript.fault:
            found.problems.append(Problem(shown, transcript.fault))
        elif name in recordings.audio or PurePosixPath(name).name.lower() not in DOCUMENTS:
            found.by_name[name] = Spoken(transcript.text, shown)
    for shown, path in recordings.lists.items():
        _read_list(recordings, shown, path, found)
    for name, path in recordings.timed.items():
        _read_timed(recordings, name, path, found)
    found.problems += [
        Problem(spoken.place, f"is the text of {name}, which has no recording")
        for name, spoken in found.by_name.items()
        if name not in recordings.audio
    ]
    return found


def _read_timed(recordings: Recordings, name: str, path: Path, found: Transcripts) -> None:
    shown = recordings.name_of(path)
    if name not in recordings.audio:
        found.warnings.append(Problem(shown, f"is the text of {name}, which has no recording"))
    elif name in recordings.texts:
        other = recordings.name_of(recordings.texts[name])
        found.warnings.append(Problem(shown, f"is not used: {other} has the whole text"))
    elif name in found.by_name:
        other = found.by_name[name].place
        found.warnings.append(Problem(shown, f"is not used: {other} has the whole text"))
    else:
        timed = read_timed(path)
        found.problems += [Problem(shown, fault) for fault in timed.faults]
        found.warnings += [
            Problem(shown, f"has no text in cue {number}; it is left out") for number in timed.empty
        ]
        found.timed[name] = shown
        found.cues[name] = [] if timed.faults else in_sentences(timed.cues)


def _read_list(recordings: Recordings, shown: str, path: Path, found: Transcripts) -> None:
    try:
        text = read_limited(path, LARGEST_LIST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        found.problems.append(Problem(shown, "is not UTF-8; save it as UTF-8"))
        return
    except StoreError as error:
        found.problems.append(Problem(shown, error.message))
        return
    lines = _json_lines(text) if path.suffix.lower() == ".jsonl" else _table(text, path.name)
    for number, row in lines:
        _take_row(recordings, PurePosixPath(shown), number, row, found)


def _take_row(
    recordings: Recordings, place: PurePosixPath, number: int, row: _Row | str, found: Transcripts
) -> None:
    said = f"{place}:{number}"
    if isinstance(row, str):
        found.problems.append(Problem(said, row))
        return
    name = _name_of(recordings, place.parent, nfc(row.file))
    text = nfc(row.text).strip()
    if not text:
        found.problems.append(Problem(said, f"has no text for {row.file}"))
        return
    first = found.by_name.setdefault(name, Spoken(text, said, row.speaker))
    if first.text != text:
        found.problems.append(Problem(said, f"differs from what {first.place} says of {name}"))
    elif row.speaker and not first.speaker:
        found.by_name[name] = Spoken(first.text, first.place, row.speaker)


def _name_of(recordings: Recordings, beside: PurePosixPath, file: str) -> str:
    """The name of the recording that a list names: beside the list, or in LJSpeech's `wavs`."""
    written = PurePosixPath(file)
    stem = file[: -len(written.suffix)] if written.suffix.lower() in AUDIO else file
    places = [str(beside / stem), str(beside / "wavs" / stem)]
    if written.is_absolute():
        root = nfc(recordings.folder.resolve().as_posix()) + "/"
        places = [stem.removeprefix(root)]
    return next((place for place in places if place in recordings.audio), places[0])


@dataclass(frozen=True, slots=True)
class _Row:
    file: str
    text: str
    speaker: str = ""


def _json_lines(text: str) -> Iterator[tuple[int, _Row | str]]:
    for number, line in enumerate(_lines_of(text), 1):
        if line.strip():
            yield number, _json_row(line)


def _json_row(line: str) -> _Row | str:
    try:
        content: object = json.loads(line)
    except (ValueError, RecursionError):
        return "is not JSON"
    return _row(content) if isinstance(content, dict) else "is not a JSON object"


def _table(text: str, name: str) -> Iterator[tuple[int, _Row | str]]:
    """LJSpeech's table has no header and is separated by bars; an audiofolder's has a header."""
    first = _lines_of(text)[0]
    delimiter = "|" if "|" in first else "\t" if "\t" in first else ","
    if not _names_recordings(first, delimiter):
        if delimiter == "|":
            yield from _ljspeech(text)
        elif name == LJSPEECH:
            yield 1, f"has no column named {', '.join(AUDIO_KEYS[:-1])} or {AUDIO_KEYS[-1]}"
        return
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in rows:
            yield rows.line_num, _row(row)
    except csv.Error as error:
        yield rows.line_num, f"is not a table: {error}"


def _names_recordings(header: str, delimiter: str) -> bool:
    """Whether a first line has a column of recordings."""
    try:
        columns = next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return False
    return any(key in columns for key in AUDIO_KEYS)


def _ljspeech(text: str) -> Iterator[tuple[int, _Row | str]]:
    """ID|text|normalised text, without quotes; the last field is the text."""
    for number, line in enumerate(_lines_of(text), 1):
        parts = line.split("|")
        if len(parts) > 1:
            yield number, _Row(parts[0].strip(), parts[2] if parts[2:] else parts[1])
        elif line.strip():
            yield number, "is not ID|text"


def _lines_of(text: str) -> list[str]:
    """The lines between line feeds: a text may hold U+2028 and other separators of its own."""
    return text.replace("\r\n", "\n").split("\n")


def _row(content: Mapping[Any, object]) -> _Row | str:
    file, text = _first(content, AUDIO_KEYS), _first(content, TEXT_KEYS)
    if not file:
        return f"names no recording: none of {', '.join(AUDIO_KEYS)} is set"
    return _Row(file, text, _first(content, SPEAKER_KEYS))


def _first(content: Mapping[Any, object], keys: tuple[str, ...]) -> str:
    found = (content.get(key) for key in keys)
    return next((str(one) for one in found if isinstance(one, str | int) and str(one)), "")


def as_in_a_file(text: str) -> str:
    """A text as `fintts data encode` writes and a run reads it."""
    return nfc(text.replace("\r\n", "\n").replace("\r", "\n")).strip()
