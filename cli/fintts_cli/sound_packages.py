"""The packages that read recordings, which an installation for codes may lack."""

from __future__ import annotations

from importlib.util import find_spec

from fintts_cli.errors import UsageProblem

READERS = ("soundfile", "soxr", "pyloudnorm")


def require_readers(extras: str = "audio") -> None:
    """Raises UsageProblem if they are not installed.

    Args:
        extras: what the command needs, as pip takes it.
    """
    if any(find_spec(package) is None for package in READERS):
        raise UsageProblem(
            "the packages for reading recordings are not installed",
            f"pip install 'fintts[{extras}]'",
        )
