"""A packed data set: one content-addressed file, one object to upload, and quick to open.

The file is a safetensors file of plain arrays: codes int32 [codebooks, all frames], and text and
names as UTF-8 bytes in NFC, each with offsets. Utterances are sorted by name, so the same folder
gives the same bytes everywhere. `packing` writes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open

from fintts_inputs.errors import DataProblem
from fintts_store.runs.limits import PACK_HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt


FORMAT = "fintts-pack-1"
AGAIN = "pack the folder again with: fintts data pack DIR"
ARRAYS = {
    "codes": "I32",
    "frame_offsets": "I64",
    "text": "U8",
    "text_offsets": "I64",
    "names": "U8",
    "name_offsets": "I64",
}
"""with their types in safetensors' notation"""


@dataclass(frozen=True)
class _Strings:
    """Concatenated texts in UTF-8, and the offset of each."""

    joined: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:
        start, stop = self.offsets[index : index + 2]
        try:
            return self.joined[start:stop].tobytes().decode()
        except UnicodeDecodeError:
            raise DataProblem("the packed data set has a text that is not UTF-8", AGAIN) from None


@dataclass(frozen=True)
class Pack:
    """A packed data set, mapped into memory and read on demand."""

    _names: _Strings
    _texts: _Strings
    _codes: npt.NDArray[np.int32]
    _frame_offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self._names)

    @property
    def is_consistent(self) -> bool:
        """Whether the pack has a name, a text and codes for each utterance."""
        names, texts, frames = self._names.offsets, self._texts.offsets, self._frame_offsets
        return (
            len(names) == len(texts) == len(frames)
            and _divides(names, len(self._names.joined))
            and _divides(texts, len(self._texts.joined))
            and _divides(frames, self._codes.shape[1])
        )

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(self.name(index) for index in range(len(self)))

    def name(self, index: int) -> str:
        """The relative path in the folder, without suffix."""
        return self._names[index]

    def text(self, index: int) -> str:
        """The transcript."""
        return self._texts[index]

    def codes(self, index: int) -> npt.NDArray[np.int32]:
        """int32 [codebooks, frames]."""
        start, stop = self._frame_offsets[index : index + 2]
        return self._codes[:, start:stop]


def read_pack(path: Path) -> Pack:
    """Opens a packed data set.

    Raises:
        DataProblem: the file is not a pack, or is incomplete.
    """
    try:
        # Compares the header with the file's size. Its slices would be copies.
        with safe_open(path, framework="numpy"):
            content: npt.NDArray[np.uint8] = np.memmap(path, np.uint8, mode="r")
    except (OSError, SafetensorError) as error:
        raise DataProblem(f"{path} is not a packed data set: {error}", AGAIN) from None
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    if start > PACK_HEADER_BYTES:
        raise DataProblem(f"{path} is not a packed data set: its header is too large", AGAIN)
    header = json.loads(content[8:start].tobytes())
    missing = [name for name, kind in ARRAYS.items() if header.get(name, {}).get("dtype") != kind]
    if missing:
        raise DataProblem(f"{path} is not a packed data set: it has no {', '.join(missing)}", AGAIN)
    if [len(header[name]["shape"]) for name in ARRAYS] != [2, 1, 1, 1, 1, 1]:
        raise DataProblem(f"{path} is not a packed data set: an array has a wrong shape", AGAIN)
    arrays = {name: _bytes_of(content[start:], header[name]) for name in ARRAYS}
    pack = Pack(
        _Strings(arrays["names"], arrays["name_offsets"].view(np.int64)),
        _Strings(arrays["text"], arrays["text_offsets"].view(np.int64)),
        arrays["codes"].view(np.int32),
        arrays["frame_offsets"].view(np.int64),
    )
    if not pack.is_consistent:
        raise DataProblem(f"{path} is not a packed data set: its offsets do not fit", AGAIN)
    return pack


def _divides(offsets: npt.NDArray[np.int64], size: int) -> bool:
    """Whether the offsets rise from the start to the end of the array that they divide."""
    if not offsets.size or offsets[0] != 0 or offsets[-1] != size:
        return False
    return bool((np.diff(offsets) >= 0).all())


def _bytes_of(
    content: npt.NDArray[np.uint8], entry: Mapping[str, Sequence[int]]
) -> npt.NDArray[np.uint8]:
    """An array of the file as bytes, one row for each row of numbers."""
    first, last = entry["data_offsets"]
    return content[first:last].reshape(*entry["shape"][:-1], -1)
