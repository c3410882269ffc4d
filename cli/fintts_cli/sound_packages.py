"""The packages that read recordings, which an installation for codes may lack."""

from __future__ import annotations

from importlib.util import find_spec

from fintts_cli.errors import UsageProblem

READERS = ("soundfile", "soxr", "pyloudnorm")


def require_readers() -> None:
    """Raises UsageProblem if they are not installed."""
    if any(find_spec(package) is None for package in READERS):
        raise UsageProblem(
            "the packages for reading recordings are not installed", "pip install 'fintts[audio]'"
        )
