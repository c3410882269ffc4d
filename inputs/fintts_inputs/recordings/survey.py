"""Looks at every recording of a folder once: what will be encoded, and everything that is odd.

A problem keeps a recording from being encoded; a warning does not. Both name their file, and
nothing is left out without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fintts_inputs.data.files import Problem
from fintts_inputs.errors import DataProblem
from fintts_inputs.recordings.files import AUDIO, list_recordings
from fintts_inputs.recordings.level import (
    LOUDNESS_LUFS,
    MARGIN_SECONDS,
    gain_to,
    loudness_of,
    speech_in,
)
from fintts_inputs.recordings.odd import odd_in_corpus
from fintts_inputs.recordings.sound import Unreadable, read_sound, too_long
from fintts_inputs.recordings.transcripts import Spoken, read_transcripts
from fintts_inputs.recordings.utterance import Utterance
from fintts_inputs.recordings.wording import odd_wording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fintts_inputs.codec.shape import CodecShape
    from fintts_inputs.recordings.files import Recordings

LONGEST_SECONDS = 600.0
"""that is read where neither codec nor base model has a limit"""
SILENCE_SECONDS = 60.0
"""that a recording may be longer than its speech"""
QUIET_LUFS = -45.0
LOUDER_DB = 0.5
"""a difference in loudness that is said"""
NOTHING = Spoken("", "")


@dataclass(frozen=True, slots=True)
class Survey:
    """What a folder of recordings holds."""

    folder: Path
    utterances: tuple[Utterance, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    @property
    def seconds(self) -> float:
        """Of speech that will be encoded, without the silence at the ends."""
        return sum(utterance.seconds for utterance in self.utterances)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one utterance may be, by codec and base model."""

    rate: int
    least_seconds: float
    most_seconds: float


def limits_of(codec: CodecShape, most_frames: int | None) -> Limits:
    """By the codec, and by the frames that the base model reads."""
    known = [count for count in (codec.most_frames, most_frames) if count is not None]
    longest = [count / codec.frames_per_second for count in known]
    return Limits(
        rate=codec.sample_rate,
        least_seconds=codec.least_samples / codec.sample_rate,
        most_seconds=min([LONGEST_SECONDS, *longest]),
    )


def survey(folder: Path, limits: Limits, looked_at: Callable[[int, int], None]) -> Survey:
    """Reads every recording and every text.

    Args:
        looked_at: is called with the number of recordings so far, and that of all.

    Raises:
        FolderMissing: there is no such folder.
        DataProblem: it cannot be opened, or holds no recording.
    """
    recordings = list_recordings(folder)
    if not recordings.audio and not recordings.problems:
        raise DataProblem(
            f"{folder} holds no recordings",
            f"give a folder of {', '.join(AUDIO)} with their texts as .txt or .lab",
        )
    transcripts = read_transcripts(recordings)
    problems = [*recordings.problems, *transcripts.problems]
    warnings: list[Problem] = []
    utterances: list[Utterance] = []
    for number, (name, path) in enumerate(recordings.audio.items(), 1):
        spoken = transcripts.by_name.get(name)
        found = _look_at(recordings, name, path, spoken, limits)
        problems += [one for one in found if isinstance(one, Problem)]
        for one in found:
            if isinstance(one, Utterance):
                utterances.append(one)
                warnings += odd_alone(one)
        looked_at(number, len(recordings.audio))
    warnings += odd_in_corpus(utterances, limits.rate)
    return Survey(
        folder,
        tuple(utterances),
        tuple(sorted(problems, key=lambda one: one.file)),
        tuple(sorted(warnings, key=lambda one: one.file)),
    )


def _look_at(
    recordings: Recordings, name: str, path: Path, spoken: Spoken | None, limits: Limits
) -> list[Problem | Utterance]:
    """The utterance, or why there is none; a recording without a text is read all the same, so that
    all that is wrong with it is said at once."""
    shown = recordings.name_of(path)
    found: list[Problem | Utterance] = []
    if spoken is None and name not in recordings.texts:
        found.append(Problem(shown, "has no text: add a .txt or .lab of its name"))
    try:
        utterance = measured(name, shown, path, spoken, limits)
    except Unreadable as error:
        return [*found, Problem(shown, str(error))]
    return found if spoken is None else [utterance]


def measured(name: str, shown: str, path: Path, spoken: Spoken | None, limits: Limits) -> Utterance:
    """One recording, with its speech found and its loudness measured.

    Raises:
        Unreadable: it cannot be read, is silent, too long or too short.
    """
    sound = read_sound(path, limits.most_seconds + SILENCE_SECONDS)
    begin, end = speech_in(sound.samples, sound.rate)
    if not end:
        raise Unreadable("is silent")
    speech = sound.samples[begin:end]
    if len(speech) / sound.rate > limits.most_seconds:
        raise Unreadable(too_long(len(speech) / sound.rate, limits.most_seconds))
    if len(speech) / sound.rate < max(limits.least_seconds, 2 * MARGIN_SECONDS):
        raise Unreadable(f"is too short: {len(speech) / sound.rate:.2f} s")
    loudness, peak = loudness_of(speech, sound.rate), float(np.abs(speech).max())
    if loudness == -np.inf:
        raise Unreadable("is silent")
    said = spoken or NOTHING
    return Utterance(
        name=name,
        file=shown,
        path=path,
        text=said.text,
        text_place=said.place,
        speaker=said.speaker or (name.rpartition("/")[0]),
        digest=sound.digest,
        rate=sound.rate,
        channels=sound.channels,
        seconds_read=sound.seconds,
        begin=begin,
        end=end,
        loudness=loudness,
        gain=gain_to(loudness, peak),
        clipped=sound.clipped,
        cancelled=sound.cancelled,
    )


def odd_alone(utterance: Utterance) -> Iterator[Problem]:
    """What is odd about one recording, whatever the others are."""
    for sentence in odd_sound(utterance):
        yield Problem(utterance.file, sentence)
    for sentence in odd_wording(utterance.text):
        yield Problem(utterance.text_place, sentence)


def odd_sound(utterance: Utterance) -> Iterator[str]:
    """What is odd about its sound."""
    if utterance.clipped:
        times = "once" if utterance.clipped == 1 else f"{utterance.clipped:,} times"
        yield f"is clipped {times}: record it again at a lower level"
    if utterance.cancelled:
        yield "has two channels of opposite phase; the first one is used"
    elif utterance.channels > 2:
        yield f"has {utterance.channels} channels, whose mean is used"
    if utterance.loudness < QUIET_LUFS:
        yield f"is very quiet, {utterance.loudness:.0f} LUFS: its noise is raised with it"
    if utterance.loudness_after < LOUDNESS_LUFS - LOUDER_DB:
        yield (
            f"has peaks that allow {utterance.loudness_after:.1f} LUFS only, "
            f"not {LOUDNESS_LUFS:.0f}"
        )
