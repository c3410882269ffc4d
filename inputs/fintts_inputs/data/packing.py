"""Packs utterances into one file, as `pack` describes it, with memory that does not grow with the
codes: all sizes are known beforehand, so each utterance is written to its place in the file."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from fintts_inputs.data.check import check_folder
from fintts_inputs.data.files import read_codes, read_text
from fintts_inputs.data.listing import CODES
from fintts_inputs.data.pack import ARRAYS, FORMAT
from fintts_inputs.errors import DataProblem
from fintts_inputs.folder import written_name
from fintts_store.disk.durable import unnamed_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.data.check import DataReport, Utterance

ITEM_BYTES = {"I64": 8, "I32": 4, "U8": 1}
FRAMES_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class PackedDataset:
    """A written pack; the path's stem is the SHA-256."""

    path: Path
    sha256: str
    size_bytes: int
    utterances: int
    frames: int
    is_as_written: bool = False
    """whether names and texts are as in the files, not in NFC"""


def pack_folder(
    folder: Path,
    target_folder: Path,
    shape: ModelShape | None = None,
    *,
    begun_with: str | None = None,
) -> PackedDataset:
    """Checks the folder and writes `target_folder/<sha256>.safetensors`.

    Args:
        begun_with: the SHA-256 of a run's data set. Earlier versions of fintts packed names and
            texts as written, not in NFC; if that gives this SHA-256, the run continues with such
            a pack.

    Raises:
        DataProblem: a file of the folder cannot be used for training.
        StoreError: the target cannot be written; no partial file remains.
    """
    return pack_report(check_folder(folder, shape), target_folder, begun_with=begun_with)


def pack_report(
    report: DataReport,
    target_folder: Path,
    *,
    begun_with: str | None = None,
    frames_at_once: int = FRAMES_AT_ONCE,
) -> PackedDataset:
    """Packs a checked folder, as `pack_folder` does.

    Args:
        frames_at_once: how many frames are held before they are written.

    Raises:
        DataProblem: a file cannot be used for training, or changed since the check.
        StoreError: the target cannot be written; no partial file remains.
    """
    report.refuse_problems()
    with unnamed_file(target_folder) as file:
        sha256 = _write(report, file.path, frames_at_once, as_written=False)
        if begun_with in (None, sha256):
            return _packed(report, file.keep_as(_name(sha256)), sha256)
        with unnamed_file(target_folder) as older:
            if _write(report, older.path, frames_at_once, as_written=True) != begun_with:
                return _packed(report, file.keep_as(_name(sha256)), sha256)
            path = older.keep_as(_name(begun_with))
            return _packed(report, path, begun_with, is_as_written=True)


def _name(sha256: str) -> str:
    return f"{sha256}.safetensors"


def _packed(
    report: DataReport, path: Path, sha256: str, *, is_as_written: bool = False
) -> PackedDataset:
    size_bytes, count = path.stat().st_size, len(report.utterances)
    return PackedDataset(path, sha256, size_bytes, count, report.frames, is_as_written)


class Packable(NamedTuple):
    """An utterance to pack."""

    name: str
    text: str
    frames: int
    codes: Callable[[], npt.NDArray[np.int32]]
    """reads its codes, int32 [codebooks, frames]"""


def pack_utterances(
    utterances: Sequence[Packable], codebooks: int, target_folder: Path
) -> PackedDataset:
    """Packs utterances that lie in no folder, as `pack_folder` does.

    Raises:
        DataProblem: the codes of one cannot be read.
        StoreError: the target cannot be written; no partial file remains.
    """
    frames = sum(utterance.frames for utterance in utterances)
    with unnamed_file(target_folder) as file:
        sha256 = _write_pack(utterances, codebooks, file.path, FRAMES_AT_ONCE)
        path = file.keep_as(_name(sha256))
        return PackedDataset(path, sha256, path.stat().st_size, len(utterances), frames)


def _write(report: DataReport, path: Path, frames_at_once: int, *, as_written: bool) -> str:
    """Writes the pack of a folder; returns its SHA-256.

    Raises:
        DataProblem: a file no longer matches its check.
    """

    def name_of(utterance: Utterance) -> str:
        written = written_name(report.folder, utterance.files.codes)[: -len(CODES)]
        return written if as_written else utterance.name

    utterances = [
        Packable(
            name_of(one),
            _text(report, one, as_written=as_written),
            one.frames,
            partial(_codes, report, one),
        )
        for one in report.utterances
    ]
    return _write_pack(utterances, len(report.highest_codes), path, frames_at_once)


def _write_pack(given: Sequence[Packable], codebooks: int, path: Path, frames_at_once: int) -> str:
    """Writes the pack; returns its SHA-256."""
    utterances = sorted(given, key=lambda one: one.name)
    frames = sum(one.frames for one in utterances)
    names, name_offsets = _joined([utterance.name.encode() for utterance in utterances])
    text, text_offsets = _joined([utterance.text.encode() for utterance in utterances])
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "frame_offsets": _offsets([utterance.frames for utterance in utterances]),
        "name_offsets": name_offsets,
        "text_offsets": text_offsets,
        "names": names,
        "text": text,
    }
    shapes = {name: array.shape for name, array in arrays.items()}
    layout = _layout({**shapes, "codes": (codebooks, frames)})
    with path.open("w+b", buffering=0) as file:
        file.truncate(layout.size_bytes)
        _put(file, layout.header, 0)
        for name, array in arrays.items():
            _put(file, array.tobytes(), layout.starts[name])
        for first, codes in _blocks(utterances, frames_at_once):
            for row, numbers in enumerate(codes):
                at = layout.starts["codes"] + 4 * (row * frames + first)
                _put(file, numbers.tobytes(), at)
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _blocks(
    utterances: Sequence[Packable], frames_at_once: int
) -> Iterator[tuple[int, npt.NDArray[np.int32]]]:
    """The codes in order, some utterances at a time: first frame, int32 [codebooks, frames]."""
    first, held = 0, 0
    waiting: list[npt.NDArray[np.int32]] = []
    for number, utterance in enumerate(utterances, start=1):
        waiting.append(utterance.codes())
        held += utterance.frames
        if held >= frames_at_once or number == len(utterances):
            yield first, np.concatenate(waiting, axis=1)
            first, held, waiting = first + held, 0, []


def _codes(report: DataReport, utterance: Utterance) -> npt.NDArray[np.int32]:
    """int32 [codebooks, frames] of a file that still is as the check found it."""
    found, fault = read_codes(utterance.files.codes)
    if (
        fault
        or found.shape != (len(report.highest_codes), utterance.frames)
        or (found.max(axis=1) > report.highest_codes).any()
    ):
        raise _changed(report, utterance)
    return found.astype(np.int32)


def _text(report: DataReport, utterance: Utterance, *, as_written: bool) -> str:
    transcript = read_text(utterance.files.text)
    if transcript.fault:
        raise _changed(report, utterance)
    return transcript.written if as_written else transcript.text


def _changed(report: DataReport, utterance: Utterance) -> DataProblem:
    return DataProblem(
        f"{report.folder / utterance.name} changed after it was checked",
        "try again once nothing writes to the folder",
    )


class _Layout(NamedTuple):
    """A safetensors file without its arrays."""

    header: bytes
    """its length and the JSON"""
    starts: dict[str, int]
    """array → its first byte in the file"""
    size_bytes: int


def _layout(shapes: dict[str, tuple[int, ...]]) -> _Layout:
    """As safetensors lays arrays out: by size of an item, the largest first, then by name."""
    entries: dict[str, object] = {"__metadata__": {"format": FORMAT}}
    starts, end = dict[str, int](), 0
    for name in sorted(shapes, key=lambda name: (-ITEM_BYTES[ARRAYS[name]], name)):
        starts[name], shape = end, shapes[name]
        end += ITEM_BYTES[ARRAYS[name]] * math.prod(shape)
        entries[name] = {
            "dtype": ARRAYS[name],
            "shape": list(shape),
            "data_offsets": [starts[name], end],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    header = len(text).to_bytes(8, "little") + text
    return _Layout(
        header, {name: len(header) + at for name, at in starts.items()}, len(header) + end
    )


def _put(file: BinaryIO, data: bytes, at: int) -> None:
    """Writes all of it; not through a memory map, which would end the process on a full disk."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(file.fileno(), rest, at)
        rest, at = rest[written:], at + written


def _joined(parts: Sequence[bytes]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    joined = np.frombuffer(b"".join(parts), dtype=np.uint8)
    return joined, _offsets([len(part) for part in parts])


def _offsets(lengths: Sequence[int]) -> npt.NDArray[np.int64]:
    """The start of each part, then the end of the last."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
