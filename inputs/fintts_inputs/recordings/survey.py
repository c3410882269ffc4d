"""Reads every recording of a folder once, to find what can be encoded and what looks wrong.

A recording with a problem is not encoded; one with a warning is. Both name their file, and no
recording is left out without one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fintts_inputs.folder import Problem, refuse_problems
from fintts_inputs.recordings.cutting import pieces_of
from fintts_inputs.recordings.level import (
    LOUDNESS_LUFS,
    MARGIN_SECONDS,
    gain_to,
    loudness_of,
    speech_in,
)
from fintts_inputs.recordings.odd import odd_in_corpus
from fintts_inputs.recordings.sound import (
    TooLong,
    Unreadable,
    read_sound,
    too_long,
)
from fintts_inputs.recordings.timed import name_of_piece
from fintts_inputs.recordings.transcripts import Spoken, read_transcripts
from fintts_inputs.recordings.utterance import Utterance
from fintts_inputs.recordings.wording import odd_wording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.codec.shape import CodecShape
    from fintts_inputs.recordings.files import Recordings
    from fintts_inputs.recordings.piece import Piece
    from fintts_inputs.recordings.transcripts import Spell, Transcripts

LONGEST_SECONDS = 600.0
"""the limit where neither codec nor base model has one"""
QUIET_LUFS = -45.0
LOUDER_DB = 0.5
"""smaller differences in loudness are not worth a warning"""
NOTHING = Spoken("", "")
BESIDE_IT = "put a .srt or .vtt with its text and times beside it, and no other text"


@dataclass(frozen=True, slots=True)
class Survey:
    """The contents of a folder of recordings."""

    folder: Path
    utterances: tuple[Utterance, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    spelled: tuple[Problem, ...] = ()
    """what was put into words, by the place of its text"""

    def refuse_problems(self) -> None:
        """Raises DataProblem with the first problems, if there are any."""
        refuse_problems(self.folder, self.problems)

    @property
    def seconds(self) -> float:
        """The speech to encode, without the silence at the ends."""
        return sum(utterance.seconds for utterance in self.utterances)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one utterance, set by codec and base model."""

    rate: int
    least_seconds: float
    most_seconds: float


def limits_of(codec: CodecShape, model: ModelShape | None) -> Limits:
    """The shorter of what the codec and the base model can read.

    The model reads frames, text and prompt as one sequence, so this counts the frames that fit
    beside the prompt. `fintts data check` warns where the text may leave room for fewer.
    """
    model_frames = None if model is None else model.max_seq_len - model.prompt.most_tokens
    known = [count for count in (codec.most_frames, model_frames) if count is not None]
    longest = [count / codec.frames_per_second for count in known]
    return Limits(
        rate=codec.sample_rate,
        least_seconds=codec.least_samples / codec.sample_rate,
        most_seconds=min([LONGEST_SECONDS, *longest]),
    )


def survey(
    recordings: Recordings,
    limits: Limits,
    on_read: Callable[[int, int], None],
    spell: Spell | None = None,
) -> Survey:
    """Reads every recording and every text.

    Args:
        on_read: called with the number of recordings read so far and in all.
        spell: puts numbers and abbreviations of a text into words; None leaves texts alone.
    """
    transcripts = read_transcripts(recordings)
    spelled = [] if spell is None else transcripts.spell_out(spell)
    problems = [*recordings.problems, *transcripts.problems]
    warnings: list[Problem] = [*recordings.hidden, *transcripts.warnings]
    utterances: list[Utterance] = []
    for number, (name, path) in enumerate(recordings.audio.items(), 1):
        found: list[Problem | Utterance]
        if name in transcripts.cues:
            found = [*_look_at_pieces(recordings, transcripts, name, limits)]
        else:
            found = _look_at(recordings, name, path, transcripts.by_name.get(name), limits)
        problems += [one for one in found if isinstance(one, Problem)]
        for one in found:
            if isinstance(one, Utterance):
                utterances.append(one)
                warnings += odd_alone(one)
        on_read(number, len(recordings.audio))
    problems += there_already(utterances)
    warnings += odd_in_corpus(utterances, limits.rate)
    return Survey(
        recordings.folder,
        tuple(utterances),
        tuple(sorted(problems, key=lambda one: one.file)),
        tuple(sorted(warnings, key=lambda one: one.file)),
        tuple(sorted(spelled, key=lambda one: one.file)),
    )


def _look_at(
    recordings: Recordings, name: str, path: Path, spoken: Spoken | None, limits: Limits
) -> list[Problem | Utterance]:
    """The utterance, or its problems. A recording without a text is still read, so that all of its
    problems are reported at once."""
    shown = recordings.name_of(path)
    found: list[Problem | Utterance] = []
    if spoken is None and name not in recordings.texts:
        found.append(Problem(shown, "has no text: add a .txt or .lab with the same name"))
    try:
        utterance = measured(name, shown, path, spoken, limits)
    except TooLong as error:
        return [*found, Problem(shown, f"{error}, or {BESIDE_IT}")]
    except Unreadable as error:
        return [*found, Problem(shown, str(error))]
    return found if spoken is None else [utterance]


def _look_at_pieces(
    recordings: Recordings, transcripts: Transcripts, name: str, limits: Limits
) -> Iterator[Problem | Utterance]:
    """An utterance for each sentence with times, or its problem."""
    path, cues = recordings.audio[name], transcripts.cues[name]
    shown = recordings.name_of(path)
    try:
        pieces = pieces_of(path, cues)
    except Unreadable as error:
        yield Problem(shown, str(error))
        return
    for cue, piece in zip(cues, pieces, strict=True):
        spoken = Spoken(cue.text, transcripts.place_of(name, cue))
        at = f"{shown}, from {cue.begin:,.1f} s"
        try:
            yield measured(name_of_piece(name, cue), at, path, spoken, limits, piece)
        except Unreadable as error:
            yield Problem(at, str(error))


def there_already(utterances: Sequence[Utterance]) -> Iterator[Problem]:
    """The pieces of a long recording that have the name of another recording."""
    counts = Counter(one.name for one in utterances)
    for one in utterances:
        if one.piece is not None and counts[one.name] > 1:
            yield Problem(one.file, f"would be called {one.name}, as another recording; rename it")


def measured(
    name: str,
    shown: str,
    path: Path,
    spoken: Spoken | None,
    limits: Limits,
    piece: Piece | None = None,
) -> Utterance:
    """One recording, with its speech found and its loudness measured.

    Raises:
        Unreadable: it cannot be read, is silent, too long or too short.
    """
    sound = read_sound(path, limits.most_seconds, piece=piece)
    begin, end = speech_in(sound.samples, sound.rate)
    if not end:
        raise Unreadable("is silent")
    speech = sound.samples[begin:end]
    if len(speech) / sound.rate > limits.most_seconds:
        raise TooLong(too_long(len(speech) / sound.rate, limits.most_seconds))
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
        piece=piece,
    )


def odd_alone(utterance: Utterance) -> Iterator[Problem]:
    """What looks wrong in a recording by itself."""
    for sentence in odd_sound(utterance):
        yield Problem(utterance.file, sentence)
    for sentence in odd_wording(utterance.text):
        yield Problem(utterance.text_place, sentence)


def odd_sound(utterance: Utterance) -> Iterator[str]:
    """What looks wrong in the sound."""
    if utterance.clipped:
        times = "once" if utterance.clipped == 1 else f"{utterance.clipped:,} times"
        yield f"is clipped {times}: record it again at a lower level"
    if utterance.cancelled:
        yield "has two channels of opposite phase; only the first one is used"
    elif utterance.channels > 2:
        yield f"has {utterance.channels} channels; their mean is used"
    if utterance.loudness < QUIET_LUFS:
        yield f"is very quiet, {utterance.loudness:.0f} LUFS: raising it also raises its noise"
    if utterance.loudness_after < LOUDNESS_LUFS - LOUDER_DB:
        yield (
            f"has peaks that limit it to {utterance.loudness_after:.1f} LUFS "
            f"instead of {LOUDNESS_LUFS:.0f}"
        )
