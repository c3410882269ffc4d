"""Measures how intelligible speech stays in the example's codec, by STOI (Taal et al., 2011).

    python measure_codec.py [RECORDINGS]

By default the recordings are sound/recordings/: verses and a voice that the codec has not heard.
1 is the original. Needs pystoi, which `pip install '.[test]'` brings.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from pystoi import stoi  # type: ignore[import-untyped] # ships no types

from fintts_inputs.codec.find import find_codec
from fintts_inputs.recordings.level import gain_to, loudness_of
from fintts_inputs.recordings.sound import at_rate, read_sound
from fintts_trainer.codecs import open_codec

if TYPE_CHECKING:
    from fintts_trainer.codecs.base import Codec

SOUND = Path(__file__).parent / "sound"
LONGEST_SECONDS = 60.0


def intelligibility(codec: Codec, path: Path) -> float:
    """STOI of a recording that went through the codec, against the recording."""
    rate, sound = codec.shape.sample_rate, read_sound(path, LONGEST_SECONDS)
    samples = at_rate(sound.samples, sound.rate, rate)
    levelled = samples * gain_to(loudness_of(samples, rate), float(np.abs(samples).max()))
    (codes,) = codec.encode([levelled])
    return float(stoi(levelled, codec.decode(codes)[: len(levelled)], rate))


def bits_per_second(codec: Codec) -> float:
    """What the codes of a second of speech need."""
    shape = codec.shape
    return shape.frames_per_second * sum(math.log2(size) for size in shape.codebook_sizes)


def main() -> None:
    """Prints the mean and the least."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recordings", type=Path, nargs="?", default=SOUND / "recordings")
    parser.add_argument("--codec", type=Path, default=SOUND / "base_model", metavar="DIR")
    options = parser.parse_args()
    codec = open_codec(find_codec(options.codec), torch.device("cpu"))
    found = [intelligibility(codec, path) for path in sorted(options.recordings.glob("*.flac"))]
    print(f"{len(found)} recordings at {bits_per_second(codec):,.0f} bits a second")
    print(f"STOI {np.mean(found):.3f}, at least {min(found):.3f}")


if __name__ == "__main__":
    main()
