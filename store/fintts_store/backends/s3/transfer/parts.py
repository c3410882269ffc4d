"""The sizes that decide whether a file is uploaded with one request or in parts."""

from dataclasses import dataclass

MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Parts:
    """When a file is uploaded in parts, and how large they are."""

    single_put_below: int = 64 * MB
    """files of this size or more are uploaded in parts"""
    part_bytes: int = 16 * MB
    """larger for a file that would have too many parts"""


PARTS = Parts()
