"""Texts with times beside a long recording: SubRip (.srt) and WebVTT (.vtt)."""

from __future__ import annotations

import html
import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from fintts_inputs.data.files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LARGEST_BYTES = 4 * 1024**2
"""forty hours of speech"""
LEAST_SECONDS, MOST_SECONDS = 2.0, 20.0
"""Shorter sentences are joined with the next one; longer ones are cut between two cues."""
LONGEST_PAUSE_SECONDS = 1.5
"""inside an utterance"""
TOLERANCE_SECONDS = 0.5
"""of two cues that overlap, and of a cue that ends after the recording"""
_TIME = r"(?:(\d{1,3}):)?([0-5]?\d):([0-5]?\d)(?:[.,](\d{1,3}))?"
_TIMES = re.compile(rf"\s*{_TIME}[ \t]*-->[ \t]*{_TIME}(?:[ \t].*)?")
_ARROW = "-->"
_NO_CUES = re.compile(r"(NOTE|STYLE|REGION)\b")
_TAG = re.compile(r"<[^<>\n]{0,200}>|\{\\[^{}\n]{0,200}\}")
"""of style: `<i>`, `<c.yellow>`, `{\\an8}`"""
_SENTENCE_END = re.compile(r"[.!?…][\"'»”’)\]]*$")


class Cue(NamedTuple):
    """A text and its times in seconds; `number` counts the cues of its file from 1."""

    begin: float
    end: float
    text: str
    number: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end - self.begin


class TimedText(NamedTuple):
    """The cues of a file. With faults it cannot be used; `empty` are numbers of cues without text.

    Each fault is a sentence, to be read after the file's name.
    """

    cues: list[Cue]
    faults: list[str]
    empty: list[int]


def read_timed(path: Path) -> TimedText:
    """Reads a .srt or .vtt."""
    found = read_text(path, LARGEST_BYTES)
    if found.fault:
        return TimedText([], [found.fault], [])
    cues: list[Cue] = []
    faults: list[str] = []
    for one in _parsed(found.text):
        if isinstance(one, Cue):
            cues.append(one)
        else:
            faults.append(one)
    spoken = [cue for cue in cues if cue.text]
    faults += _faults_of(cues)
    if not spoken and not faults:
        faults.append("has no text with times, such as 00:00:01,000 --> 00:00:03,500")
    return TimedText(spoken, faults, [cue.number for cue in cues if not cue.text])


def _parsed(text: str) -> Iterator[Cue | str]:
    """Each cue, or what is wrong with it. Cues are separated by empty lines."""
    number = 0
    for block in re.split(r"\n(?:[ \t]*\n)+", text):
        lines = block.strip().split("\n")
        places = [place for place, line in enumerate(lines) if _ARROW in line]
        header = lines[0].startswith("WEBVTT") and not places
        if header or _NO_CUES.match(lines[0]):
            continue
        if not places:
            yield f"text without times after cue {number}: {lines[0][:30]}"
            continue
        number += len(places)
        if len(places) > 1:
            yield f"no empty line before cue {number}"
        elif (times := _TIMES.fullmatch(lines[places[0]])) is None:
            yield f"cue {number} has times that cannot be read: {lines[places[0]].strip()[:40]}"
        else:
            said = lines[places[0] + 1 :]
            yield Cue(
                _seconds(times.groups()[:4]), _seconds(times.groups()[4:]), _plain(said), number
            )


def _plain(lines: Sequence[str]) -> str:
    """The text of a cue in one line, without tags."""
    return " ".join(html.unescape(_TAG.sub("", " ".join(lines))).split())


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = parts
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return whole + float(f"0.{fraction or 0}")


def _faults_of(cues: Sequence[Cue]) -> Iterator[str]:
    for cue in cues:
        if cue.end <= cue.begin:
            yield f"cue {cue.number} ends before it begins"
    for one, other in pairwise(cues):
        if other.begin < one.begin:
            yield f"cue {other.number} begins before cue {one.number}"
        elif one.end - other.begin > TOLERANCE_SECONDS:
            yield f"cues {one.number} and {other.number} overlap"


def in_sentences(cues: Sequence[Cue]) -> list[Cue]:
    """Joins cues to sentences of sensible length; a cue is never split, since nothing tells the
    times inside it."""
    joined: list[Cue] = []
    for cue in cues:
        if joined and _goes_on(joined[-1], cue):
            last = joined[-1]
            text = f"{last.text} {cue.text}"
            joined[-1] = Cue(last.begin, max(last.end, cue.end), text, last.number)
        else:
            joined.append(cue)
    return joined


def _goes_on(last: Cue, cue: Cue) -> bool:
    if cue.begin - last.end > LONGEST_PAUSE_SECONDS or cue.end - last.begin > MOST_SECONDS:
        return False
    return last.seconds < LEAST_SECONDS or _SENTENCE_END.search(last.text) is None


def name_of_piece(recording: str, cue: Cue) -> str:
    """An utterance's name: its recording, and the millisecond at which its text begins. So a cue
    that is added or removed elsewhere changes no name."""
    return f"{recording}-{round(1000 * cue.begin):09}"
