"""`A100-80GB:2`: which GPUs, and how many."""

from __future__ import annotations

from fintts_cost.accelerators import Accelerator, find

MAX_GPUS = 64


def parse_gpus(text: str) -> tuple[Accelerator, int]:
    """`A100-80GB:2` → the accelerator and how many.

    Raises:
        UnknownAccelerator: there is no such accelerator.
        ValueError: the count is not a valid number.
    """
    name, _, number = text.partition(":")
    count = int(number) if number.isascii() and number.isdigit() else 0 if number else 1
    if not 1 <= count <= MAX_GPUS:
        raise ValueError(f"the number of GPUs is 1 to {MAX_GPUS}, as in A100-80GB:1")
    return find(name), count


def split_gpus(text: str) -> tuple[str, ...]:
    """`A100-80GB:1,H100:1` → each GPU that may be rented."""
    return tuple(part.strip() for part in text.split(","))


def canonical_gpus(text: str) -> str:
    """The SkyPilot spelling: h100 → H100:1; a list keeps its order, without duplicates."""
    parts = split_gpus(text)
    if not all(parts):
        raise ValueError("a GPU's name is missing beside a comma")
    found = [parse_gpus(part) for part in parts]
    return ",".join(dict.fromkeys(f"{accelerator.name}:{count}" for accelerator, count in found))
