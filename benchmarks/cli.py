"""How long commands take to start: `fintts --help`, `fintts estimate`, and `sky --help`.

    python benchmarks/cli.py [--rounds N] [--json]

The commands run in turn, so that other load affects all of them equally. The result is the median;
the limit for fintts' own commands is 0.3 s.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

LIMIT_SECONDS = 0.3
CONFIGURED = Path(__file__).parents[1] / "examples" / "kalevala" / "fintts.yaml"
WITHOUT_RATE = ("--samples", "2000", "--seconds-per-step", "5.4")
"""Looks the price up in the included list."""


@dataclass(frozen=True)
class Timing:
    """Wall-clock seconds of one command over all rounds."""

    command: str
    median_seconds: float
    fastest_seconds: float
    slowest_seconds: float
    ratio_to_first: float


def commands() -> dict[str, list[str]]:
    """The commands to time; `sky` only if it is installed."""
    programs = Path(sys.executable).parent
    fintts = str(programs / "fintts")
    timed = {
        "fintts --help": [fintts, "--help"],
        "fintts estimate --reference-run": [fintts, "estimate", "--reference-run"],
        "fintts estimate": [fintts, "estimate", "--config", str(CONFIGURED)],
        "fintts estimate without a rate": [fintts, "estimate", *WITHOUT_RATE],
    }
    if (programs / "sky").exists():
        timed["sky --help"] = [str(programs / "sky"), "--help"]
    return timed


def run_once(command: list[str], folder: Path) -> float:
    """Seconds from start to exit; a command that fails ends the benchmark."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment(folder))
    return time.perf_counter() - start


def environment(folder: Path) -> dict[str, str]:
    """The user's environment, without settings and files that would change the timing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FINTTS_")}
    return kept | {"XDG_CONFIG_HOME": str(folder), "FINTTS_STATE_DIR": str(folder / "state")}


def measure(rounds: int) -> list[Timing]:
    """Times each command once per round, after a round that warms the file cache."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        timed = commands()
        seconds: dict[str, list[float]] = {name: [] for name in timed}
        for number in range(rounds + 1):
            for name, command in timed.items():
                elapsed = run_once(command, folder)
                if number:
                    seconds[name].append(elapsed)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    first = next(iter(medians.values()))
    return [
        Timing(name, medians[name], min(values), max(values), medians[name] / first)
        for name, values in seconds.items()
    ]


def print_table(timings: list[Timing]) -> None:
    """One line per command, in seconds."""
    print(f"{'command':<34}{'median':>8}{'fastest':>9}{'slowest':>9}{'ratio':>8}")
    for timing in timings:
        print(
            f"{timing.command:<34}{timing.median_seconds:>7.3f}s{timing.fastest_seconds:>8.3f}s"
            f"{timing.slowest_seconds:>8.3f}s{timing.ratio_to_first:>7.1f}x"
        )
    print(f"limit for fintts: {LIMIT_SECONDS} s (median)")


def main() -> None:
    """Measures, prints, and exits with 1 if fintts exceeds its limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    timings = measure(arguments.rounds)
    over = [
        timing.command
        for timing in timings
        if timing.command.startswith("fintts") and timing.median_seconds > LIMIT_SECONDS
    ]
    if arguments.json:
        content = {
            "benchmark": "cli",
            "rounds": arguments.rounds,
            "python": platform.python_version(),
            "limit_seconds": LIMIT_SECONDS,
            "over_limit": over,
            "commands": [asdict(timing) for timing in timings],
        }
        print(json.dumps(content, indent=2))
    else:
        print_table(timings)
    sys.exit(1 if over else 0)


if __name__ == "__main__":
    main()
