"""`A100-80GB:2`, `any`, `24GB+`: which GPUs, and how many."""

from __future__ import annotations

import re

from fintts_cost.errors import UnknownAccelerator
from fintts_cost.gpus.accelerators import ACCELERATORS, Accelerator, find

MAX_GPUS = 64
ANY = "any"
_MEMORY = re.compile(r"\d{1,6}(?:\.\d{1,3})?GB", re.IGNORECASE)
_AT_LEAST = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)GB\+", re.IGNORECASE)


def parse_gpus(text: str) -> tuple[Accelerator, int]:
    """`A100-80GB:2` → the accelerator and how many.

    Raises:
        UnknownAccelerator: there is no such accelerator.
        ValueError: the count is not a valid number.
    """
    name, count = _counted(text)
    return find(name), count


def split_gpus(text: str) -> tuple[str, ...]:
    """`A100-80GB:1,24GB+:1` → each GPU that may be rented, without duplicates."""
    each = (gpus for part in text.split(",") for gpus in _meant_by(part.strip()))
    return tuple(dict.fromkeys(each))


def named_gpus(text: str) -> frozenset[str]:
    """The GPUs that are listed by name, and not only meant by `any` or `24GB+`."""
    parts = (part.strip() for part in text.split(","))
    return frozenset(part for part in parts if _least_gb(part.partition(":")[0]) is None)


def canonical_gpus(text: str) -> str:
    """The SkyPilot spelling: h100 → H100:1; a list keeps its order, without duplicates."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise ValueError("a GPU name is missing next to a comma")
    return ",".join(dict.fromkeys(_canonical(part) for part in parts))


def _counted(text: str) -> tuple[str, int]:
    name, _, number = text.partition(":")
    count = int(number) if number.isascii() and number.isdigit() else 0 if number else 1
    if not 1 <= count <= MAX_GPUS:
        raise ValueError(f"the number of GPUs is 1 to {MAX_GPUS}, as in A100-80GB:1")
    return name.strip(), count


def _least_gb(name: str) -> float | None:
    """The memory that `any` (0) or `24GB+` demands; None for the name of a GPU."""
    if name.strip().lower() == ANY:
        return 0.0
    found = _AT_LEAST.fullmatch(name.strip())
    return float(found[1]) if found else None


def _meant_by(part: str) -> tuple[str, ...]:
    least_gb = _least_gb(part.partition(":")[0])
    if least_gb is None:
        return (part,)
    _, count = _counted(part)
    known = ACCELERATORS.values()
    return tuple(f"{each.name}:{count}" for each in known if each.memory_gb >= least_gb)


def _canonical(part: str) -> str:
    name, count = _counted(part)
    if _MEMORY.fullmatch(name):
        raise UnknownAccelerator(
            f"there is no accelerator named {name!r}", f"did you mean {name}+?"
        )
    if _least_gb(name) is None:
        return f"{find(name).name}:{count}"
    if not _meant_by(part):
        largest = max(ACCELERATORS.values(), key=lambda each: each.memory_gb)
        raise ValueError(
            f"no known GPU has {name[:-1]}: the largest is {largest.name}, "
            f"with {largest.memory_gb:g} GB"
        )
    return f"{ANY if name.lower() == ANY else name.upper()}:{count}"
