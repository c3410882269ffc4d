"""Checks a folder of .npy and .lab pairs: lists its contents and everything wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from fintts_inputs.data.codes import transposed, usual_codebooks
from fintts_inputs.data.files import Transcript, read_codes, read_text
from fintts_inputs.data.listing import CODES, FROM_RECORDINGS, TEXT, list_folder
from fintts_inputs.data.pairs import PairFiles, pairs_among, partner_of
from fintts_inputs.data.suspicions import suspicions
from fintts_inputs.errors import DataProblem
from fintts_inputs.folder import Problem, refuse_problems, written_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from fintts_inputs.base_model.shape import ModelShape


@dataclass(frozen=True, slots=True)
class Utterance:
    """One pair; the name is the relative path without suffix."""

    name: str
    frames: int
    files: PairFiles


@dataclass(frozen=True, slots=True)
class DataReport:
    """The contents of a folder; it can be used for training if there are no problems."""

    folder: Path
    utterances: tuple[Utterance, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    ignored: int
    """files that are neither .npy nor .lab"""
    normalised: int
    """pairs whose name or text is not in NFC on the disk; here it is"""
    highest_codes: tuple[int, ...]
    """by codebook"""

    @property
    def frames(self) -> int:
        """All frames of the valid pairs."""
        return sum(utterance.frames for utterance in self.utterances)

    def hours(self, frames_per_second: float) -> float:
        """Hours of speech at the given frame rate, which the files do not contain."""
        return self.frames / frames_per_second / 3600

    def refuse_problems(self) -> None:
        """Raises DataProblem with the first problems, if there are any."""
        refuse_problems(self.folder, self.problems)


def check_folder(folder: Path, shape: ModelShape | None = None) -> DataReport:
    """Opens and checks every file; with a shape, also compares codes with the model's codebooks.

    Raises:
        FolderMissing: the folder does not exist.
        DataProblem: the folder cannot be opened, or holds no .npy or .lab.
    """
    listing = list_folder(folder)
    if not listing.files and not listing.problems:
        raise DataProblem(f"{folder} has no .npy or .lab files", FROM_RECORDINGS)
    problems = [*listing.problems]
    problems += [_unpaired(file) for file in listing.files if partner_of(file) not in listing.files]
    opened = [_open_pair(*pair, shape) for pair in pairs_among(listing.files).items()]
    problems += [problem for pair in opened for problem in pair.problems]
    odd = _misshapen(opened, shape)
    problems += odd.values()
    sound = [pair for pair in opened if not pair.problems and pair.name not in odd]
    return DataReport(
        folder=folder,
        utterances=tuple(Utterance(p.name, p.frames, p.files) for p in sound),
        problems=tuple(sorted(problems, key=lambda problem: problem.file)),
        warnings=(
            *_suspicious(sound),
            *listing.hidden,
            *_said_twice(sound),
            *_perhaps_too_long(sound, shape),
            *_perhaps_transposed(sound),
            *_marked(sound),
        ),
        ignored=listing.ignored,
        normalised=sum(not pair.is_nfc(folder) for pair in sound),
        highest_codes=_highest(sound),
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    name: str
    files: PairFiles
    transcript: Transcript
    codebooks: int
    frames: int
    highest: tuple[int, ...]
    problems: tuple[Problem, ...]

    def is_nfc(self, folder: Path) -> bool:
        """Whether the pair's file names and text are in NFC on the disk."""
        written = [written_name(folder, path)[: -len(CODES)] for path in self.files]
        return written == [self.name] * 2 and self.transcript.text == self.transcript.written


def _unpaired(file: str) -> Problem:
    return Problem(file, f"has no {PurePosixPath(partner_of(file)).name} beside it")


def _open_pair(name: str, files: PairFiles, shape: ModelShape | None) -> _Pair:
    transcript = read_text(files.text)
    codes, codes_fault = read_codes(files.codes)
    faults = [Problem(name + TEXT, transcript.fault)] if transcript.fault else []
    faults += [Problem(name + CODES, codes_fault)] if codes_fault else []
    if not codes_fault and shape is not None:
        faults += [Problem(name + CODES, sentence) for sentence in _misfits(codes, shape)]
    return _Pair(
        name=name,
        files=files,
        transcript=transcript,
        codebooks=codes.shape[0],
        frames=codes.shape[1],
        highest=() if codes_fault else tuple(int(code) for code in codes.max(axis=1)),
        problems=tuple(faults),
    )


def _misfits(codes: npt.NDArray[np.int64], shape: ModelShape) -> Iterator[str]:
    codebooks, frames = codes.shape
    if codes.max() >= shape.codebook_size:
        yield (
            f"has the code {codes.max()}, but the last one of the base model is "
            f"{shape.codebook_size - 1}"
        )
    if codebooks == shape.num_codebooks and frames >= shape.max_seq_len:
        yield f"has {frames} frames, but the base model reads at most {shape.max_seq_len} tokens"


def _misshapen(pairs: Sequence[_Pair], shape: ModelShape | None) -> dict[str, Problem]:
    """Problems by name: the number of codebooks differs from the base model's or from most of the
    folder, or a square array, whose orientation only the others show, may be transposed."""
    sizes = [(pair.codebooks, pair.frames) for pair in pairs if pair.codebooks]
    wanted = usual_codebooks(sizes) if shape is None else shape.num_codebooks
    whose = "most have" if shape is None else "the base model"
    turned = sum(bool(transposed(size, wanted)) for size in sizes)
    upright = sum(size[0] == wanted != size[1] for size in sizes)
    found: dict[str, Problem] = {}
    for pair in pairs:
        size = (pair.codebooks, pair.frames)
        is_turned_square = size == (wanted, wanted) and turned > upright
        if pair.codebooks and (pair.codebooks != wanted or is_turned_square):
            sentence = _wrong_size(size, wanted, whose)
            found[pair.name] = Problem(pair.name + CODES, sentence)
    return found


def _wrong_size(size: tuple[int, int], wanted: int, whose: str) -> str:
    if size == (wanted, wanted):
        return f"is a square, {wanted} by {wanted}, and probably transposed like the others"
    return transposed(size, wanted) or f"has {size[0]} codebooks, {whose} {wanted}"


def _perhaps_transposed(pairs: Sequence[_Pair]) -> Iterator[Problem]:
    """Square arrays with no other array to compare them with."""
    if all(pair.codebooks == pair.frames for pair in pairs):
        for pair in pairs:
            sentence = (
                f"is a square, {pair.codebooks} by {pair.frames}: check that it is not transposed"
            )
            yield Problem(pair.name + CODES, sentence)


def _suspicious(pairs: Sequence[_Pair]) -> Iterator[Problem]:
    """Texts and names with lost, garbled or invisible characters."""
    for pair in pairs:
        for sentence in suspicions(pair.transcript.text):
            yield Problem(pair.name + TEXT, sentence)
        for sentence in suspicions(pair.name):
            yield Problem(pair.name + CODES, f"has a name that {sentence}")


def _marked(pairs: Sequence[_Pair]) -> Iterator[Problem]:
    for pair in pairs:
        if pair.transcript.has_mark:
            yield Problem(pair.name + TEXT, "begins with a byte order mark, which is ignored")


def _said_twice(pairs: Sequence[_Pair]) -> Iterator[Problem]:
    """What may be intended: repeated transcripts, and names that differ only in case."""
    texts: dict[str, str] = {}
    names: dict[str, str] = {}
    for pair in pairs:
        if (first := texts.setdefault(pair.transcript.text, pair.name)) != pair.name:
            yield Problem(pair.name + TEXT, f"says the same as {first}{TEXT}")
        if (other := names.setdefault(pair.name.lower(), pair.name)) != pair.name:
            yield Problem(pair.name + CODES, f"differs from {other}{CODES} only in case")


def _perhaps_too_long(pairs: Sequence[_Pair], shape: ModelShape | None) -> Iterator[Problem]:
    """Utterances that may be too long: a text has at most as many tokens as bytes.

    Only the tokenizer, which is not available here, gives the exact number. The trainer refuses
    an utterance that is too long.
    """
    for pair in pairs:
        text_bytes = len(pair.transcript.text.encode())
        if shape and pair.frames + text_bytes + shape.prompt.most_tokens > shape.max_seq_len:
            yield Problem(
                pair.name + CODES,
                f"has {pair.frames} frames and {text_bytes} bytes of text, which may be more than "
                f"the {shape.max_seq_len} tokens that the base model reads",
            )


def _highest(pairs: Sequence[_Pair]) -> tuple[int, ...]:
    if len({pair.codebooks for pair in pairs}) != 1:
        return ()
    return tuple(max(column) for column in zip(*(pair.highest for pair in pairs), strict=True))
