"""Reads the headers of tensor files, and compares them with the expected tensors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from fintts_inputs.errors import BaseModelProblem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set
    from pathlib import Path

    import numpy.typing as npt

Shape = tuple[int, ...]

EXPONENTS: dict[str, np.unsignedinteger] = {
    "F64": np.uint64(0x7FF0_0000_0000_0000),
    "F32": np.uint32(0x7F80_0000),
    "F16": np.uint16(0x7C00),
    "BF16": np.uint16(0x7F80),
}
"""The types that weights may have, in safetensors' notation, with the exponent bits of each: all of
them are set in infinities and NaN. numpy has no bfloat16."""

NUMBERS_AT_ONCE = 2**22
NAMED = 3


class Stored(NamedTuple):
    """A tensor in a file."""

    dtype: str
    """safetensors' notation: F32, BF16, I8 …"""
    shape: Shape


def read_header(path: Path, again: str) -> dict[str, Stored]:
    """The tensors of a safetensors file; reads no weights.

    Args:
        again: the hint for a damaged file.

    Raises:
        BaseModelProblem: it is missing, or not a complete safetensors file.
    """
    if path.is_dir():
        raise BaseModelProblem(f"{path} is a folder, not a safetensors file", again)
    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {
                name: Stored(one.get_dtype(), tuple(one.get_shape()))
                for name, one in slices.items()
            }
    except (OSError, SafetensorError) as error:
        raise BaseModelProblem(
            f"{path} is not a complete safetensors file: {error}", again
        ) from None


def misfit(found: Mapping[str, Stored], wanted: Mapping[str, Shape]) -> str | None:
    """The first difference from the expected tensors; None if names and shapes are equal and all
    are weights."""
    if found.keys() != wanted.keys():
        return " and ".join(_differing(found.keys(), wanted.keys()))
    for name, (dtype, shape) in sorted(found.items()):
        if shape != wanted[name]:
            return f"{name} has shape {shape}, not {wanted[name]}"
        if dtype not in EXPONENTS:
            return f"{name} is stored as {dtype}, not as one of {', '.join(EXPONENTS)}"
    return None


def _differing(found: Set[str], wanted: Set[str]) -> Iterator[str]:
    for what, names in (("missing", wanted - found), ("unexpected", found - wanted)):
        if names:
            some = ", ".join(f"{name:.100}" for name in sorted(names)[:NAMED])
            yield f"{len(names)} {what} ({some}{', …' if len(names) > NAMED else ''})"


def contents(path: Path) -> dict[str, tuple[str, npt.NDArray[np.uint8]]]:
    """Name → type and bytes of each tensor, mapped into memory."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    whole = np.memmap(path, np.uint8, "r")
    found: dict[str, tuple[str, npt.NDArray[np.uint8]]] = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            found[name] = (entry["dtype"], whole[begin:end])
    return found


def not_finite(path: Path) -> Iterator[str]:
    """The names of the tensors with values that are not finite.

    Args:
        path: a file whose header was checked, with only the types in `EXPONENTS`.
    """
    for name, (dtype, content) in contents(path).items():
        exponent = EXPONENTS[dtype]
        numbers = content.view(exponent.dtype)
        parts = range(0, len(numbers), NUMBERS_AT_ONCE)
        if any(_any_full(numbers[at : at + NUMBERS_AT_ONCE], exponent) for at in parts):
            yield name


def _any_full(numbers: npt.NDArray[np.unsignedinteger], exponent: np.unsignedinteger) -> bool:
    return bool(((numbers & exponent) == exponent).any())
