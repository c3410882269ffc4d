"""Finds recordings that differ from the others of their corpus."""

from __future__ import annotations

import math
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

from fintts_inputs.folder import Problem
from fintts_inputs.recordings.wording import script_of, usual_script

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fintts_inputs.recordings.utterance import Utterance

FEWEST = 8
"""the fewest utterances for which a usual pace is computed"""
FAR = 4.0
"""in standard deviations of the logarithm of the pace, estimated from the median deviation"""
LEAST_DEVIATION = 0.12
TO_SIGMA = 1.4826
NO_PACE = (1.0, 40.0)
"""limits in characters per second, for a corpus too small to have a usual pace"""
LOW_RATE = 0.75
"""share of the codec's rate, below which high frequencies are missing"""


def odd_in_corpus(utterances: Sequence[Utterance], codec_rate: int) -> Iterator[Problem]:
    """Warnings for recordings that differ from the others."""
    yield from _rates(utterances, codec_rate)
    yield from _paces(utterances)
    yield from _scripts(utterances)
    yield from _twice(utterances)


def _rates(utterances: Sequence[Utterance], codec_rate: int) -> Iterator[Problem]:
    counts = Counter(utterance.rate for utterance in utterances)
    usual = max(sorted(counts), key=counts.__getitem__, default=codec_rate)
    for utterance in utterances:
        if utterance.rate != usual:
            said = f"is at {utterance.rate:,} Hz, but most are at {usual:,} Hz"
        elif utterance.rate < LOW_RATE * codec_rate:
            said = f"is at {utterance.rate:,} Hz"
        else:
            continue
        if utterance.rate < LOW_RATE * codec_rate:
            said += f": the codec needs {codec_rate:,} Hz, so high frequencies are missing"
        yield Problem(utterance.file, said)


def _paces(utterances: Sequence[Utterance]) -> Iterator[Problem]:
    spoken = [one for one in utterances if one.characters_per_second > 0]
    least, most = _usual_paces([one.characters_per_second for one in spoken])
    for utterance in spoken:
        pace = utterance.characters_per_second
        if least <= pace <= most:
            continue
        which = "short" if pace > most else "long"
        yield Problem(
            utterance.file,
            f"is too {which} for its text: {pace:.1f} characters a second, but others have "
            f"{least:.1f} to {most:.1f}",
        )


def _usual_paces(paces: Sequence[float]) -> tuple[float, float]:
    if len(paces) < FEWEST:
        return NO_PACE
    logarithms = [math.log(pace) for pace in paces]
    middle = median(logarithms)
    deviation = TO_SIGMA * median(abs(one - middle) for one in logarithms)
    far = FAR * max(deviation, LEAST_DEVIATION)
    return math.exp(middle - far), math.exp(middle + far)


def _scripts(utterances: Sequence[Utterance]) -> Iterator[Problem]:
    usual = usual_script(one.text for one in utterances)
    for utterance in utterances:
        script = script_of(utterance.text)
        if script and script != usual:
            yield Problem(
                utterance.text_place,
                f"is in {script.title()} letters, but most texts in {usual.title()}",
            )


def _twice(utterances: Sequence[Utterance]) -> Iterator[Problem]:
    sounds: dict[str, Utterance] = {}
    texts: dict[str, Utterance] = {}
    names: dict[str, Utterance] = {}
    for one in utterances:
        if (first := sounds.setdefault(one.digest, one)) is not one:
            yield Problem(one.file, f"is the same recording as {first.file}")
        if (first := texts.setdefault(one.text.casefold(), one)) is not one:
            yield Problem(one.text_place, f"says the same as {first.text_place}")
        if (first := names.setdefault(one.name.casefold(), one)) is not one:
            yield Problem(one.file, f"differs from {first.file} only in case")
