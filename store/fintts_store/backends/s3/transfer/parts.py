"""The sizes by which a file goes to S3: with one request, or in parts."""

from dataclasses import dataclass

MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Parts:
    """When a file goes in parts, and how large they are."""

    single_put_below: int = 64 * MB
    """in bytes; a file of this size or more goes in parts"""
    part_bytes: int = 16 * MB
    """more for a file that would have too many parts"""


PARTS = Parts()
