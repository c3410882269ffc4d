"""Looks at a folder of .npy and .lab pairs: what is there, and everything that is wrong with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from fintts_trainer.data_files import (
    CODES,
    TEXT,
    Problem,
    list_folder,
    read_codes,
    read_text,
)
from fintts_trainer.errors import DataProblem
from fintts_trainer.holdout import is_held_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from fintts_trainer.shape import ModelShape

PROMPT_TOKENS = 16
"""at most, beside those of the transcript and the codes"""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One pair; the name is the relative path without suffix."""

    name: str
    frames: int


@dataclass(frozen=True, slots=True)
class DataReport:
    """What a folder holds. It may be trained on when there are no problems."""

    folder: Path
    utterances: tuple[Utterance, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    ignored: int
    """files that are neither .npy nor .lab"""
    highest_codes: tuple[int, ...]
    """by codebook"""

    @property
    def frames(self) -> int:
        """All frames of the sound pairs."""
        return sum(utterance.frames for utterance in self.utterances)

    def hours(self, frames_per_second: float) -> float:
        """Hours of speech; the codec's frame rate is not in the files."""
        return self.frames / frames_per_second / 3600

    def refuse_problems(self) -> None:
        """Raises DataProblem that names the first problems, if there are any."""
        if self.problems:
            named = "; ".join(f"{p.file}: {p.sentence}" for p in self.problems[:3])
            more = f"; and {len(self.problems) - 3} more" if len(self.problems) > 3 else ""
            raise DataProblem(
                f"{self.folder} has {_times(len(self.problems), 'problem')}: {named}{more}",
                f"see all of them with: fintts data check {self.folder}",
            )


@dataclass(frozen=True, slots=True)
class Split:
    """Indices of the utterances to train on, and of those held out."""

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
            f"of {_times(train + held_out, 'utterance')} none is {empty}",
            "add utterances, or change validation.fraction",
        )


def count_pairs(folder: Path) -> list[str]:
    """The names of all pairs, sorted; opens no file, so that it takes milliseconds.

    Raises:
        FolderMissing: there is no such folder.
        DataProblem: it cannot be opened.
    """
    files = set(list_folder(folder).files)
    return sorted(f[: -len(CODES)] for f in files if f.endswith(CODES) and _lab(f) in files)


def count_unpaired(folder: Path) -> int:
    """Files that lack their partner; opens none. Raises as `count_pairs` does."""
    files = set(list_folder(folder).files)
    return sum(f.endswith((CODES, TEXT)) and _partner(f) not in files for f in files)


def check_folder(folder: Path, shape: ModelShape | None = None) -> DataReport:
    """Opens every file. With a shape the codes are compared with the base model's codebooks.

    Raises:
        FolderMissing: there is no such folder.
        DataProblem: it cannot be opened, or there is not one .npy or .lab in it.
    """
    listing = list_folder(folder)
    if not listing.files and not listing.problems:
        raise DataProblem(
            f"{folder} holds no .npy and .lab files",
            "give the folder of the codec's .npy files and their .lab transcripts",
        )
    present = set(listing.files)
    problems = [*listing.problems]
    problems += [_unpaired(file) for file in listing.files if _partner(file) not in present]
    opened = [
        _open_pair(folder, file, shape)
        for file in listing.files
        if file.endswith(CODES) and _lab(file) in present
    ]
    problems += [problem for pair in opened for problem in pair.problems]
    odd = _odd_codebooks(opened) if shape is None else {}
    problems += odd.values()
    sound = [pair for pair in opened if not pair.problems and pair.name not in odd]
    return DataReport(
        folder=folder,
        utterances=tuple(Utterance(p.name, p.frames) for p in sound),
        problems=tuple(sorted(problems, key=lambda problem: problem.file)),
        warnings=(*listing.hidden, *_suspicious(sound), *_perhaps_too_long(sound, shape)),
        ignored=listing.ignored,
        highest_codes=_highest(sound),
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    name: str
    text: str
    codebooks: int
    frames: int
    highest: tuple[int, ...]
    problems: tuple[Problem, ...]


def _lab(file: str) -> str:
    return file[: -len(CODES)] + TEXT


def _partner(file: str) -> str:
    return _lab(file) if file.endswith(CODES) else file[: -len(TEXT)] + CODES


def _unpaired(file: str) -> Problem:
    return Problem(file, f"there is no {PurePosixPath(_partner(file)).name} beside it")


def _open_pair(folder: Path, file: str, shape: ModelShape | None) -> _Pair:
    text, text_fault = read_text(folder / _lab(file))
    codes, codes_fault = read_codes(folder / file)
    faults = [Problem(_lab(file), text_fault)] if text_fault else []
    faults += [Problem(file, codes_fault)] if codes_fault else []
    if not codes_fault and shape is not None:
        faults += [Problem(file, sentence) for sentence in _misfits(codes, shape)]
    return _Pair(
        name=file[: -len(CODES)],
        text=text,
        codebooks=codes.shape[0],
        frames=codes.shape[1],
        highest=() if codes_fault else tuple(int(code) for code in codes.max(axis=1)),
        problems=tuple(faults),
    )


def _misfits(codes: npt.NDArray[np.int64], shape: ModelShape) -> Iterator[str]:
    codebooks, frames = codes.shape
    if codebooks != shape.num_codebooks:
        yield f"has {codebooks} codebooks, the base model {shape.num_codebooks}"
    if codes.max() >= shape.codebook_size:
        yield f"holds the code {codes.max()}, the codebooks end at {shape.codebook_size - 1}"
    if frames >= shape.max_seq_len:
        yield f"has {frames} frames, the base model reads {shape.max_seq_len} tokens at most"


def _odd_codebooks(pairs: Sequence[_Pair]) -> dict[str, Problem]:
    """By name those whose number of codebooks is not the usual one of the folder."""
    readable = [pair for pair in pairs if pair.codebooks]
    counts = Counter(pair.codebooks for pair in readable)
    usual = max(counts, key=lambda codebooks: counts[codebooks], default=0)
    return {
        pair.name: Problem(pair.name + CODES, f"has {pair.codebooks} codebooks, most have {usual}")
        for pair in readable
        if pair.codebooks != usual
    }


def _suspicious(pairs: Sequence[_Pair]) -> Iterator[Problem]:
    """What may be meant so: the same transcript twice, names that differ in case alone."""
    texts: dict[str, str] = {}
    names: dict[str, str] = {}
    for pair in pairs:
        if (first := texts.setdefault(pair.text, pair.name)) != pair.name:
            yield Problem(pair.name + TEXT, f"says the same as {first}{TEXT}")
        if (other := names.setdefault(pair.name.lower(), pair.name)) != pair.name:
            yield Problem(pair.name + CODES, f"differs from {other}{CODES} in case alone")


def _perhaps_too_long(pairs: Sequence[_Pair], shape: ModelShape | None) -> Iterator[Problem]:
    """Only the tokenizer, which is not here, knows how many tokens a text has: at most its bytes.

    The trainer refuses an utterance that is too long in fact.
    """
    for pair in pairs:
        text_bytes = len(pair.text.encode())
        if shape and pair.frames + text_bytes + PROMPT_TOKENS > shape.max_seq_len:
            yield Problem(
                pair.name + CODES,
                f"has {pair.frames} frames and {text_bytes} bytes of text, which may be more than "
                f"the {shape.max_seq_len} tokens that the base model reads",
            )


def _highest(pairs: Sequence[_Pair]) -> tuple[int, ...]:
    if len({pair.codebooks for pair in pairs}) != 1:
        return ()
    return tuple(max(column) for column in zip(*(pair.highest for pair in pairs), strict=True))


def _times(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
