"""The pairs of a data folder by their names, and their division into training and validation.

Opens no file, so it takes milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from fintts_inputs.data.holdout import is_held_out
from fintts_inputs.data.listing import CODES, TEXT, counted, list_folder
from fintts_inputs.errors import DataProblem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class PairFiles(NamedTuple):
    """The paths of an utterance's two files, whose names may be in different Unicode forms."""

    codes: Path
    text: Path


@dataclass(frozen=True, slots=True)
class Split:
    """Indices of the training and the held-out utterances."""

    train: tuple[int, ...]
    held_out: tuple[int, ...]


def split(names: Sequence[str], fraction: float) -> Split:
    """Divides the utterances by a hash of their names.

    Raises:
        DataProblem: one of the two parts would be empty.
    """
    held_out = tuple(i for i, name in enumerate(names) if is_held_out(name, fraction))
    chosen = set(held_out)
    train = tuple(i for i in range(len(names)) if i not in chosen)
    refuse_empty_part(len(train), len(held_out))
    return Split(train, held_out)


def refuse_empty_part(train: int, held_out: int) -> None:
    """Raises DataProblem if one of the two parts of a split holds no utterance."""
    if not train or not held_out:
        empty = "to train on" if not train else "held out for validation"
        raise DataProblem(
            f"of {counted(train + held_out, 'utterance')} none is {empty}",
            "add utterances, or change validation.fraction",
        )


def find_pairs(folder: Path) -> dict[str, PairFiles]:
    """All pairs, sorted by name; opens no file, so it takes milliseconds.

    Raises:
        FolderMissing: the folder does not exist.
        DataProblem: the folder cannot be opened.
    """
    return pairs_among(list_folder(folder).files)


def pairs_among(files: Mapping[str, Path]) -> dict[str, PairFiles]:
    """The pairs of these files, which have relative names."""
    return {
        file[: -len(CODES)]: PairFiles(path, files[_lab(file)])
        for file, path in sorted(files.items())
        if file.endswith(CODES) and _lab(file) in files
    }


def count_unpaired(files: Mapping[str, Path]) -> int:
    """The number of these files, which have relative names, without a partner."""
    return sum(partner_of(file) not in files for file in files)


def _lab(file: str) -> str:
    return file[: -len(CODES)] + TEXT


def partner_of(file: str) -> str:
    """The name of the other file of the pair."""
    return _lab(file) if file.endswith(CODES) else file[: -len(TEXT)] + CODES
