"""Makes the example's recordings: verses spoken by espeak-ng, FLAC at 16 kHz beside their texts.

    python make_recordings.py                    what the example begins with: sound/recordings/
    python make_recordings.py --pretraining DIR  what the base model hears: other verses and voices
    python make_recordings.py --codec DIR        what the codec hears: the same verses, more voices

Needs two programs (`apt-get install espeak-ng sox`); Debian 12's were used.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from make_data import (
    FINE_TUNING_VOICE,
    HERE,
    PRETRAINING_VOICES,
    Utterance,
    Voice,
    fine_tuning_utterances,
    pretraining_utterances,
    require_programs,
    run,
    speak,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

RATE = 16_000
RECORDINGS = HERE / "sound" / "recordings"
RECORDED = 80
"""utterances of sound/recordings/, the first of verses.txt"""
PROGRAMS = {"espeak-ng": "espeak-ng", "sox": "sox"}
"""Program → the Debian package that holds it."""
CODEC_VOICES = (
    *PRETRAINING_VOICES,
    Voice("m3", "fi+m3", 165, 45),
    Voice("f4", "fi+f4", 160, 50),
    Voice("m2", "fi+m2", 150, 40),
    Voice("m7", "fi+m7", 175, 55),
    Voice("f5", "fi+f5", 170, 65),
)


def record_couplets(voices: Iterable[Voice]) -> Iterator[tuple[Utterance, Voice]]:
    """Each couplet in each voice, under the name that the base model's data give it."""
    for voice in voices:
        for utterance in pretraining_utterances(voice):
            if f"c-{voice.name}" in utterance.name:
                yield utterance, voice


def sound_of(utterance: Utterance, voice: Voice) -> npt.NDArray[np.int16]:
    """The utterance as samples at 16 kHz."""
    # espeak-ng can't know the length when it writes the header, so sox must not believe it.
    source = ["-t", "wav", "--ignore-length", "-"]
    target = ["-t", "raw", "-r", str(RATE), "-c", "1", "-b", "16", "-e", "signed-integer", "-"]
    raw = run(["sox", "-V1", "--no-dither", *source, *target], speak(utterance.text, voice))
    return np.frombuffer(raw, "<i2").astype(np.int16)


def record_all(work: Iterable[tuple[Utterance, Voice]], folder: Path) -> None:
    """Writes NAME.flac and NAME.lab of each, and says how much it is."""
    folder.mkdir(parents=True, exist_ok=True)
    count, seconds = 0, 0.0
    for utterance, voice in work:
        samples = sound_of(utterance, voice)
        soundfile.write(folder / f"{utterance.name}.flac", samples, RATE, subtype="PCM_16")
        (folder / f"{utterance.name}.lab").write_text(utterance.text + "\n", encoding="utf-8")
        count, seconds = count + 1, seconds + len(samples) / RATE
    print(f"{count} utterances, {seconds / 60:.1f} minutes in {folder}")


def main() -> None:
    """Reads the options and records."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--pretraining", type=Path, metavar="DIR", help="the base model's data")
    which.add_argument("--codec", type=Path, metavar="DIR", help="the codec's data")
    options = parser.parse_args()
    require_programs(PROGRAMS)
    if options.pretraining is not None:
        voices = PRETRAINING_VOICES
        work = [(u, voice) for voice in voices for u in pretraining_utterances(voice)]
        record_all(work, options.pretraining)
    elif options.codec is not None:
        record_all(record_couplets(CODEC_VOICES), options.codec)
    else:
        first = islice(fine_tuning_utterances(), RECORDED)
        record_all(((utterance, FINE_TUNING_VOICE) for utterance in first), RECORDINGS)


if __name__ == "__main__":
    main()
