"""What a test tells the emulated AWS by a file: while it is there, AWS does as it says."""

from __future__ import annotations

from pathlib import Path


def refused(folder: Path, code: str, region: str, instance_type: str = "") -> Path:
    """While this file is there the region refuses that type with this code; without one any."""
    return folder / f"{code}-{region}{instance_type and '-'}{instance_type}"


def denied(folder: Path, bucket: str) -> Path:
    """While this file is there nobody may write to the bucket."""
    return folder / f"denied-{bucket}"


def interrupted(folder: Path, instance_id: str) -> Path:
    """What the metadata service tells this instance about its end, once this file is there."""
    return folder / f"interrupted-{instance_id}"
