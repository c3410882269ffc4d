"""How well long recordings are cut by subtitles whose times are off.

`python benchmarks/cut.py [silero_vad.onnx]` speaks sentences by espeak-ng with known pauses, adds
noise, shifts the times, and cuts: at the times as they are, at the quietest place near them as
`fintts data encode` does, and where silero-vad hears the least speech.
"""

from __future__ import annotations

import io
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import onnxruntime
import soundfile
import soxr

from fintts_inputs.recordings.cutting import HOP_SECONDS, cuts
from fintts_inputs.recordings.timed import Cue

if TYPE_CHECKING:
    from collections.abc import Callable

Wave = npt.NDArray[np.float64]
RATE, FRAME, CONTEXT = 16_000, 512, 64
"""silero-vad's"""
TEXTS = [
    "Hyvää huomenta, kello on jo kahdeksan.",
    "Vaka vanha Väinämöinen, itse tuon sanoiksi virkkoi.",
    "Pöydällä oli kuppi kahvia ja tuore pulla.",
    "Sataako siellä, vai paistaako aurinko?",
    "Kissa kiipesi katolle, eikä päässyt enää alas.",
    "Tapaamme torilla kello kaksi.",
]
MOST_SHIFT_SECONDS = 0.3
HARMLESS_SECONDS = 0.03


def spoken(text: str, voice: str) -> Wave:
    said = subprocess.run(
        ["espeak-ng", "-v", voice, "--stdout", text], capture_output=True, check=True
    )
    samples, rate = soundfile.read(io.BytesIO(said.stdout))
    wave = soxr.resample(samples, rate, RATE)
    heard = np.flatnonzero(np.abs(wave) > 0.01 * np.abs(wave).max())
    return np.asarray(wave[heard[0] : heard[-1] + 1])


def recording(
    generator: np.random.Generator, noise_db: float
) -> tuple[Wave, list[tuple[float, float]]]:
    """Speech and the true times of its sentences; `noise_db` below the speech, in 1/f noise."""
    parts, times, at = [np.zeros(RATE // 2)], [], 0.5
    for number in range(40):
        wave = spoken(TEXTS[number % len(TEXTS)], ("fi", "fi+f2", "fi+m3")[number % 3])
        pause = generator.uniform(0.15, 0.8)
        times.append((at, at + len(wave) / RATE))
        parts += [wave, np.zeros(round(pause * RATE))]
        at += (len(wave) + round(pause * RATE)) / RATE
    joined = np.concatenate(parts)
    spectrum = np.fft.rfft(generator.normal(size=len(joined)))
    spectrum /= np.sqrt(np.arange(1, len(spectrum) + 1))
    noise = np.fft.irfft(spectrum, len(joined))
    level = np.sqrt(np.mean(joined**2)) * 10 ** (-noise_db / 20)
    return joined + noise / noise.std() * level, times


def power(wave: Wave) -> Wave:
    hop = round(HOP_SECONDS * RATE)
    return np.square(wave[: len(wave) // hop * hop]).reshape(-1, hop).mean(axis=1)


def by_silero(path: str) -> Callable[[Wave], Wave]:
    model = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def speech(wave: Wave) -> Wave:
        state, context = np.zeros((2, 1, 128), np.float32), np.zeros((1, CONTEXT), np.float32)
        heard: list[float] = []
        for begin in range(0, len(wave) - FRAME, FRAME):
            frame = wave[None, begin : begin + FRAME].astype(np.float32)
            given = np.concatenate([context, frame], axis=1)
            answer, state = model.run(
                None, {"input": given, "state": state, "sr": np.array(RATE, np.int64)}
            )
            heard.append(float(answer[0, 0]))
            context = given[:, -CONTEXT:]
        hops = np.arange(0, len(heard) * FRAME, HOP_SECONDS * RATE)
        return np.interp(hops, np.arange(len(heard)) * FRAME + FRAME / 2, heard)

    return speech


def in_seconds(found: list[tuple[int, int]]) -> list[tuple[float, float]]:
    return [(begin * HOP_SECONDS, end * HOP_SECONDS) for begin, end in found]


def report(name: str, found: list[tuple[float, float]], times: list[tuple[float, float]]) -> str:
    """Of the cuts between two sentences: how far outside of the pause, in milliseconds."""
    pauses = [(one[1], other[0]) for one, other in pairwise(times)]
    both = [
        (moment, pause)
        for (one, other), pause in zip(pairwise(found), pauses, strict=True)
        for moment in (one[1], other[0])
    ]
    outside = np.array([max(p[0] - at, at - p[1], 0.0) for at, p in both])
    cut = (outside > HARMLESS_SECONDS).mean()
    return f"{name:22} {1000 * outside.mean():6.0f} {1000 * outside.max():6.0f} {100 * cut:6.1f} %"


def main() -> None:
    generator = np.random.default_rng(21)
    ways: dict[str, Callable[[Wave], Wave]] = {"the quietest place": power}
    if sys.argv[1:]:
        ways["silero-vad"] = by_silero(sys.argv[1])
    print("noise, dB below the speech | ms outside of the pause: mean, most | cuts in a sentence")
    for noise_db in (60, 30, 20, 10, 5):
        wave, times = recording(generator, noise_db)
        shifts = generator.uniform(-MOST_SHIFT_SECONDS, MOST_SHIFT_SECONDS, len(times))
        cues = [Cue(b + s, e + s, "x", 1) for (b, e), s in zip(times, shifts, strict=True)]
        print(f"{noise_db:3}", report("the times as they are", [(c[0], c[1]) for c in cues], times))
        for name, levels in ways.items():
            found = in_seconds(cuts(levels(wave), cues, HOP_SECONDS))
            print(f"{noise_db:3}", report(name, found, times))


if __name__ == "__main__":
    main()
