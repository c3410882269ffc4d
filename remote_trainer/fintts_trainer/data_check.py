"""Looks at a folder of .npy and .lab pairs: what is there, and everything that is wrong with it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_trainer.errors import DataProblem
from fintts_trainer.holdout import is_held_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

    from fintts_trainer.shape import ModelShape

CODES, TEXT = ".npy", ".lab"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one file; `file` is relative to the folder."""

    file: str
    sentence: str


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
        DataProblem: there is no such folder.
    """
    files = set(_files(folder))
    return sorted(f[: -len(CODES)] for f in files if f.endswith(CODES) and _lab(f) in files)


def count_unpaired(folder: Path) -> int:
    """Files that lack their partner; opens none. Raises DataProblem as `count_pairs` does."""
    files = set(_files(folder))
    return sum(f.endswith((CODES, TEXT)) and _partner(f) not in files for f in files)


def check_folder(folder: Path, shape: ModelShape | None = None) -> DataReport:
    """Opens every file. With a shape the codes are compared with the base model's codebooks.

    Raises:
        DataProblem: there is no such folder, or not one .npy or .lab in it.
    """
    files = sorted(_files(folder))
    ours = [file for file in files if file.endswith((CODES, TEXT))]
    if not ours:
        raise DataProblem(
            f"{folder} holds no .npy and .lab files",
            "give the folder of the codec's .npy files and their .lab transcripts",
        )
    present = set(ours)
    problems = [_unpaired(file) for file in ours if _partner(file) not in present]
    opened = [
        _open_pair(folder, f, shape) for f in ours if f.endswith(CODES) and _lab(f) in present
    ]
    problems += [problem for pair in opened for problem in pair.problems]
    problems += _odd_codebooks(opened) if shape is None else []
    whole = [pair for pair in opened if not pair.problems]
    return DataReport(
        folder=folder,
        utterances=tuple(Utterance(p.name, p.frames) for p in whole),
        problems=tuple(sorted(problems, key=lambda problem: problem.file)),
        warnings=tuple(_suspicious(whole)),
        ignored=len(files) - len(ours),
        highest_codes=_highest(whole),
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    name: str
    text: str
    codebooks: int
    frames: int
    highest: tuple[int, ...]
    problems: tuple[Problem, ...]


def _files(folder: Path) -> Iterator[str]:
    """Relative names of all files below the folder, hidden ones left out."""
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise DataProblem(
            f"the data folder {folder} {what}", "set data to a folder of .npy and .lab"
        )
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield (Path(parent) / name).relative_to(folder).as_posix()


def _lab(file: str) -> str:
    return file[: -len(CODES)] + TEXT


def _partner(file: str) -> str:
    return _lab(file) if file.endswith(CODES) else file[: -len(TEXT)] + CODES


def _unpaired(file: str) -> Problem:
    return Problem(file, f"there is no {Path(_partner(file)).name} beside it")


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


def read_text(path: Path) -> tuple[str, str]:
    """(transcript, what is wrong with it); an empty second part means nothing."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        return "", "is not UTF-8"
    except OSError as error:
        return "", f"cannot be read: {error.strerror}"
    return text, "" if text else "is empty"


def read_codes(path: Path) -> tuple[npt.NDArray[np.int64], str]:
    """(int64 [codebooks, frames], what is wrong with it)."""
    # Here and not above: counting the pairs for an estimate must not wait for NumPy's 0.1 s.
    import numpy as np

    nothing = np.zeros((0, 0), dtype=np.int64)
    try:
        codes = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError):
        return nothing, "is not a whole .npy file of numbers"
    if not isinstance(codes, np.ndarray):
        codes.close()
        return nothing, "is an archive, not a .npy file"
    fault = _wrong_array(codes)
    return (nothing, fault) if fault else (codes.astype(np.int64), "")


def _wrong_array(codes: npt.NDArray[np.generic]) -> str:
    import numpy as np

    if not np.issubdtype(codes.dtype, np.integer):
        return f"holds {codes.dtype} instead of integers"
    if codes.ndim != 2:
        return f"has {codes.ndim} dimensions instead of two, [codebooks, frames]"
    if 0 in codes.shape:
        return f"is empty: {list(codes.shape)}"
    return f"holds the negative code {codes.min()}" if bool(codes.min() < 0) else ""


def _misfits(codes: npt.NDArray[np.int64], shape: ModelShape) -> Iterator[str]:
    codebooks, frames = codes.shape
    if codebooks != shape.num_codebooks:
        yield f"has {codebooks} codebooks, the base model {shape.num_codebooks}"
    if codes.max() >= shape.codebook_size:
        yield f"holds the code {codes.max()}, the codebooks end at {shape.codebook_size - 1}"
    if frames >= shape.max_seq_len:
        yield f"has {frames} frames, the base model reads {shape.max_seq_len} tokens at most"


def _odd_codebooks(pairs: Iterable[_Pair]) -> list[Problem]:
    """Those whose number of codebooks is not the usual one of the folder."""
    whole = [pair for pair in pairs if pair.codebooks]
    counts = Counter(pair.codebooks for pair in whole)
    if len(counts) < 2:
        return []
    usual = counts.most_common(1)[0][0]
    return [
        Problem(pair.name + CODES, f"has {pair.codebooks} codebooks, most have {usual}")
        for pair in whole
        if pair.codebooks != usual
    ]


def _suspicious(pairs: Sequence[_Pair]) -> Iterator[Problem]:
    """What may be meant so: the same transcript twice, names that differ in case alone."""
    texts: dict[str, str] = {}
    names: dict[str, str] = {}
    for pair in pairs:
        if (first := texts.setdefault(pair.text, pair.name)) != pair.name:
            yield Problem(pair.name + TEXT, f"says the same as {first}{TEXT}")
        if (other := names.setdefault(pair.name.lower(), pair.name)) != pair.name:
            yield Problem(pair.name + CODES, f"differs from {other}{CODES} in case alone")


def _highest(pairs: Sequence[_Pair]) -> tuple[int, ...]:
    if len({pair.codebooks for pair in pairs}) != 1:
        return ()
    return tuple(max(column) for column in zip(*(pair.highest for pair in pairs), strict=True))


def _times(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
