"""Measures the memory that packing a folder into one file takes.

    python benchmarks/pack.py [--pairs N] [--codebooks N] [--folder DIR] [--json]

Writes N pairs of random codes (100 to 300 frames) and short texts, then packs them in another
process. "Grown" is the process's peak resident memory less that before the check.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fintts_inputs.data.packing import pack_folder

SHORTEST, LONGEST, CODES = 100, 300, 1024
PER_FOLDER = 1000


def write_pairs(folder: Path, pairs: int, codebooks: int) -> None:
    """Pairs in folders of a thousand."""
    generator = np.random.default_rng(1)
    for number in range(pairs):
        place = folder / f"{number // PER_FOLDER:04}"
        place.mkdir(exist_ok=True)
        frames = int(generator.integers(SHORTEST, LONGEST))
        codes = generator.integers(0, CODES, (codebooks, frames))
        np.save(place / f"{number:07}.npy", codes.astype(np.int64))
        (place / f"{number:07}.lab").write_text(f"Vaka vanha Väinämöinen, säe {number}.", "utf-8")


def peak_bytes() -> int:
    """The highest resident memory of this process so far; Linux counts it in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def packed(folder: Path, target: Path) -> dict[str, float]:
    """Packs the folder; returns the measurements."""
    before, start = peak_bytes(), time.process_time()
    pack = pack_folder(folder, target)
    return {
        "pairs": pack.utterances,
        "pack_bytes": pack.size_bytes,
        "grown_bytes": peak_bytes() - before,
        "peak_bytes": peak_bytes(),
        "cpu_seconds": time.process_time() - start,
    }


def main() -> None:
    """Writes the pairs and packs them in a child process, whose memory starts fresh."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--codebooks", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="temporary folder for the pairs")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pack", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pack:
        print(json.dumps(packed(options.pack / "pairs", options.pack / "packed")))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        (Path(made) / "pairs").mkdir()
        write_pairs(Path(made) / "pairs", options.pairs, options.codebooks)
        child = [sys.executable, "-P", __file__, "--pack", made]
        answer = subprocess.run(child, check=True, capture_output=True, text=True).stdout
    found = json.loads(answer)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{found['pairs']:,} pairs, a pack of {found['pack_bytes'] / 1e6:.0f} MB")
    print(
        f"memory grown by {found['grown_bytes'] / 1e6:.0f} MB, {found['cpu_seconds']:.1f} s of CPU"
    )


if __name__ == "__main__":
    main()
