"""Lists the files of a data folder; opens none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_inputs.folder import Problem, Wanted, list_files, problem_of, there_twice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CODES, TEXT = ".npy", ".lab"
SUFFIXES = (CODES, TEXT)
RECEIPTS = "data.json"
"""beside pairs that `fintts data encode` wrote"""
FROM_RECORDINGS = "give a folder of recordings with their texts, or one of .npy and .lab"
WANTED = Wanted(SUFFIXES, "the data folder", FROM_RECORDINGS)


@dataclass(frozen=True, slots=True)
class FolderContent:
    """The files below a folder, by relative names; none was opened."""

    files: Mapping[str, Path]
    """the .npy and .lab files, sorted by name"""
    problems: tuple[Problem, ...]
    """files and folders that were not listed and may hold data"""
    hidden: tuple[Problem, ...]
    """.npy and .lab files whose names start with a dot; hidden folders are not searched"""
    ignored: int
    """files that are neither .npy nor .lab"""


def list_folder(folder: Path) -> FolderContent:
    """Lists all files below the folder.

    Raises:
        FolderMissing: the folder does not exist.
        DataProblem: the folder cannot be opened.
    """
    found = list_files(folder, WANTED)
    problems = list(found.problems)
    files: dict[str, Path] = {}
    for name, path in found.files:
        if fault := _fault_of(path, name, files):
            problems.append(problem_of(folder, path, fault))
        else:
            files[name] = path
    ignored = sum(name != RECEIPTS for name in found.others)
    return FolderContent(files, tuple(problems), found.hidden, ignored)


def _fault_of(path: Path, name: str, files: Mapping[str, Path]) -> str:
    """Why a file is not listed; empty if it is."""
    suffix = name[-len(CODES) :]
    if suffix not in SUFFIXES:
        return f"ends in {suffix}; rename it to {suffix.lower()}"
    return there_twice(files[name], path) if name in files else ""


def counted(count: int, thing: str) -> str:
    """`1 problem`, `2,000 problems`"""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
