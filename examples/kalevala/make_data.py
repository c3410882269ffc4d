"""Makes the example's data: verses, spoken by espeak-ng and coded by codec2 into VQ tokens.

    python make_data.py                    the fine-tuning set, as it is in data/
    python make_data.py --pretraining DIR  what the base model hears: other verses, other voices

Needs three programs (`apt-get install espeak-ng codec2 sox`). With the same versions of them the
same bytes come out each time; Debian 12's were used (espeak-ng 1.51, codec2 1.0.5, sox 14.4.2).
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

HERE = Path(__file__).parent
PROGRAMS = {"espeak-ng": "espeak-ng", "c2enc": "codec2", "sox": "sox"}
"""Program → the Debian package that holds it."""

FIELD_BITS = (9, 9, 4, 6)
"""A frame of codec2's mode 700C: two stages of the spectral envelope, energy, pitch."""
FRAME_BYTES = 4
"""28 bits, most significant first, and 4 bits of padding. A frame lasts 40 ms."""
HEADING = re.compile(r"Runo (\d+)$")


@dataclass(frozen=True, slots=True)
class Voice:
    """How espeak-ng speaks: its voice variant, words a minute, and pitch from 0 to 99."""

    name: str
    variant: str
    words_per_minute: int
    pitch: int


FINE_TUNING_VOICE = Voice("", "fi", 160, 50)
PRETRAINING_VOICES = (
    Voice("f2", "fi+f2", 175, 55),
    Voice("f3", "fi+f3", 185, 60),
    Voice("m5", "fi+m5", 170, 30),
)


@dataclass(frozen=True, slots=True)
class Utterance:
    """What is said, and the name of its two files."""

    name: str
    text: str


def read_poems(path: Path) -> dict[int, list[str]]:
    """Poem number → its lines, from a file with `Runo N` headings and `#` comments."""
    poems: dict[int, list[str]] = {}
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if heading := HEADING.match(line):
            lines = poems.setdefault(int(heading[1]), [])
        elif line and not line.startswith("#"):
            lines.append(line)
    return poems


def fine_tuning_utterances(path: Path = HERE / "verses.txt") -> Iterator[Utterance]:
    """One for each line; a couplet is said in one breath."""
    for poem, lines in read_poems(path).items():
        for number, line in enumerate(lines, start=1):
            yield Utterance(f"runo{poem:02}-{number:04}", line.replace(" / ", " "))


def pretraining_utterances(
    voice: Voice, path: Path = HERE / "pretraining_verses.txt"
) -> Iterator[Utterance]:
    """Each verse alone, and each couplet: the base has to know short and long ones."""
    for poem, lines in read_poems(path).items():
        for start in range(0, len(lines), 2):
            couplet = lines[start : start + 2]
            stem = f"runo{poem:02}-{start // 2 + 1:04}"
            texts = [*couplet, " ".join(couplet)] if len(couplet) == 2 else couplet
            for letter, text in zip("abc", texts, strict=False):
                yield Utterance(f"{stem}{letter}-{voice.name}", text)


def record(utterance: Utterance, voice: Voice, folder: Path) -> int:
    """Writes NAME.npy, int16 [4, frames], and NAME.lab; returns the frames."""
    codes = unpack(encode(resample(speak(utterance.text, voice))))
    np.save(folder / f"{utterance.name}.npy", codes)
    (folder / f"{utterance.name}.lab").write_text(utterance.text + "\n", encoding="utf-8")
    return int(codes.shape[1])


def speak(text: str, voice: Voice) -> bytes:
    """A WAV file of 22,050 Hz, without the pause after the sentence."""
    speed, pitch = str(voice.words_per_minute), str(voice.pitch)
    command = ["espeak-ng", "-v", voice.variant, "-s", speed, "-p", pitch, "-z", "--stdout"]
    return run([*command, "--stdin"], text.encode())


def resample(wav: bytes) -> bytes:
    """Raw 16-bit samples at 8 kHz, with one frame of silence behind so that none is cut off."""
    # espeak-ng can't know the length when it writes the header, so sox must not believe it.
    source = ["-t", "wav", "--ignore-length", "-"]
    target = ["-t", "raw", "-r", "8000", "-c", "1", "-b", "16", "-e", "signed-integer", "-"]
    return run(["sox", "-V1", "--no-dither", *source, *target, "pad", "0", "0.04"], wav)


def encode(samples: bytes) -> bytes:
    """Frames of codec2's mode 700C, 4 bytes each."""
    return run(["c2enc", "700C", "-", "-"], samples)


def unpack(frames: bytes) -> npt.NDArray[np.int16]:
    """Bytes → codes [4, frames]: fields of 9, 9, 4 and 6 bits in natural binary.

    codec2 packs this mode most significant bit first and, other than its older modes, not in
    Gray code (codec2_encode_700c in its src/codec2.c).
    """
    bits = np.unpackbits(np.frombuffer(frames, dtype=np.uint8).reshape(-1, FRAME_BYTES), axis=1)
    codes = np.zeros((len(FIELD_BITS), len(bits)), dtype=np.int16)
    start = 0
    for row, width in zip(codes, FIELD_BITS, strict=True):
        for bit in range(start, start + width):
            row[:] = row * 2 + bits[:, bit]
        start += width
    return codes


def run(command: list[str], data: bytes) -> bytes:
    """What a program answers to `data`; its complaints are shown when it fails."""
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode != 0:
        complaint = done.stderr.decode(errors="replace").strip()
        sys.exit(f"error: {command[0]} failed with {done.returncode}: {complaint}")
    return done.stdout


def require_programs(programs: Mapping[str, str]) -> None:
    """Ends with a hint if a program is missing; `programs` names the package of each."""
    missing = [package for program, package in programs.items() if shutil.which(program) is None]
    if missing:
        sys.exit(
            f"error: this needs {', '.join(missing)}\n\nhint: apt-get install {' '.join(missing)}"
        )


def record_all(utterances: list[tuple[Utterance, Voice]], folder: Path) -> None:
    """Records them one by one and says how much it is."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = sum(record(utterance, voice, folder) for utterance, voice in utterances)
    print(f"{len(utterances)} utterances, {frames} frames, {frames / 25:.0f} s in {folder}")


def main() -> None:
    """Reads the option and records."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--pretraining", type=Path, metavar="DIR", help="make the base model's data instead"
    )
    folder: Path | None = parser.parse_args().pretraining
    require_programs(PROGRAMS)
    if folder is None:
        work = [(utterance, FINE_TUNING_VOICE) for utterance in fine_tuning_utterances()]
        record_all(work, HERE / "data")
    else:
        voices = PRETRAINING_VOICES
        record_all([(u, voice) for voice in voices for u in pretraining_utterances(voice)], folder)


if __name__ == "__main__":
    main()
