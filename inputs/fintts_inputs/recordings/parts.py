"""Recordings on their way to an instance: the speech in parts, as FLAC, and one file of texts.

A part is a zip file of some ten minutes of speech. Its members are named after the SHA-256 of what
they hold, so no file is ever named by a recording. The same holds for the codes of a part, which
have the names of its speech.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
import soundfile
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fintts_inputs.data.codes import parse_codes
from fintts_inputs.errors import DataProblem
from fintts_inputs.recordings.sound import FULL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from fintts_inputs.codec.shape import CodecShape
    from fintts_inputs.recordings.sound import Samples

PART_SECONDS = 600.0
"""of speech; what a preempted instance may have to encode again"""
MOST_PARTS = 1000
"""run.json names each of them"""
SHA256 = r"[0-9a-f]{64}"
SOUND, CODES = ".sound", ".npy"
NEVER = (1980, 1, 1, 0, 0, 0)
"""the date of each member, so that equal parts have equal bytes"""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SpokenText(_Part):
    """An utterance of the texts' file.

    Attributes:
        name: relative path without suffix, in NFC, as in the data set.
        speech: names its speech in the parts; two recordings of one content share it.
        gain: the factor to amplify by.
    """

    name: Annotated[str, Field(min_length=1)]
    text: str
    speech: Annotated[str, Field(pattern=f"^{SHA256}$")]
    part: Annotated[int, Field(ge=0, lt=MOST_PARTS + 1)]
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    gain: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Texts(_Part):
    """The texts' file: every utterance, sorted by name."""

    utterances: Annotated[tuple[SpokenText, ...], Field(min_length=1)]

    def of_part(self, number: int) -> list[SpokenText]:
        """One utterance for each speech of a part, sorted by speech."""
        mine = {one.speech: one for one in self.utterances if one.part == number}
        return [mine[speech] for speech in sorted(mine)]


def parse_texts(content: bytes, source: str) -> Texts:
    """The texts' file.

    Raises:
        DataProblem: it is damaged, or two utterances have one name.
    """
    try:
        texts = Texts.model_validate_json(content)
    except ValidationError:
        raise DataProblem(f"{source} is not a file of texts", "launch the run again") from None
    if len({one.name for one in texts.utterances}) < len(texts.utterances):
        raise DataProblem(f"{source} has two utterances of one name", "launch the run again")
    return texts


class Speech(NamedTuple):
    """Float32 samples with their rate."""

    samples: Samples
    rate: int


def in_parts(seconds: Mapping[str, float]) -> dict[str, int]:
    """Speech → its part, from the seconds of each. Depends on nothing else, so that an interrupted
    upload goes on with the same parts."""
    each = max(PART_SECONDS, sum(seconds.values()) / MOST_PARTS)
    parts: dict[str, int] = {}
    number, held = 0, 0.0
    for speech in sorted(seconds):
        if held >= each:
            number, held = number + 1, 0.0
        parts[speech] = number
        held += seconds[speech]
    return parts


def digest_of_speech(speech: Iterable[str]) -> str:
    """SHA-256 of a set of speech."""
    return hashlib.sha256("\n".join(sorted(set(speech))).encode()).hexdigest()


def write_part(path: Path, speech: Iterable[tuple[str, Speech]]) -> None:
    """Writes a part, one utterance at a time.

    Raises OSError if the disk cannot be written.
    """
    _write(path, ((name + SOUND, _encoded(sound)) for name, sound in speech))


def write_codes(path: Path, codes: Iterable[tuple[str, bytes]]) -> None:
    """Writes the codes of a part, from the content of .npy files."""
    _write(path, ((name + CODES, content) for name, content in codes))


def _write(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name, NEVER), content)


def _encoded(speech: Speech) -> bytes:
    """FLAC of 16 bits if they are enough, else of 24; WAV in float32 for what FLAC cannot hold:
    samples beyond full scale, and odd rates."""
    if speech.samples.min() >= -1 and speech.samples.max() < 1:
        whole = np.round(speech.samples * np.float32(FULL)).astype(np.int32)
        kind = "PCM_24" if (whole & 0xFF).any() else "PCM_16"
        try:
            return _written(whole << 8, speech.rate, "FLAC", kind)
        except (soundfile.SoundFileError, ValueError):
            pass
    return _written(speech.samples, speech.rate, "WAV", "FLOAT")


def _written(samples: npt.NDArray[np.int32] | Samples, rate: int, form: str, kind: str) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=form, subtype=kind)
    return stream.getvalue()


def read_part(path: Path, wanted: Sequence[str]) -> Iterator[tuple[str, Speech]]:
    """The wanted speech of a part, one by one.

    Raises:
        DataProblem: the part is damaged.
    """
    for name, content in _members(path, wanted, SOUND):
        try:
            samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
        except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
            raise _damaged(path, str(error)) from None
        if samples.ndim != 1 or not len(samples):
            raise _damaged(path, f"{name} is not one channel")
        yield name, Speech(np.asarray(samples, np.float32), rate)


def read_codes(path: Path, wanted: Sequence[str], shape: CodecShape) -> dict[str, bytes]:
    """The codes of a part, as the content of .npy files.

    Raises:
        DataProblem: it does not hold the codes of exactly this speech by this codec.
    """
    found = dict(_members(path, wanted, CODES))
    for name, content in found.items():
        if fault := fault_of_codes(content, shape):
            raise _damaged(path, f"{name} {fault}")
    return found


def fault_of_codes(content: bytes, shape: CodecShape) -> str:
    """Why these cannot be codes of this codec; empty if they can."""
    codes, fault = parse_codes(content)
    if fault:
        return fault
    if len(codes) != shape.codebooks:
        return f"has {len(codes)} codebooks instead of {shape.codebooks}"
    beyond = codes.max(axis=1) >= np.asarray(shape.codebook_sizes)
    return "has a code beyond its codebook" if beyond.any() else ""


def _members(path: Path, wanted: Sequence[str], suffix: str) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sorted(each.filename for each in members) != sorted(one + suffix for one in wanted):
                raise _damaged(path, "it holds other files than it should")
            if any(each.compress_type != zipfile.ZIP_STORED for each in members):
                raise _damaged(path, "it is compressed")
            if sum(each.file_size for each in members) > path.stat().st_size:
                raise _damaged(path, "its files are larger than it is")
            for name in wanted:
                yield name, archive.read(name + suffix)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, why: str) -> DataProblem:
    return DataProblem(
        f"{path.name}, a part of the recordings, is damaged: {why}",
        "delete it from the store, and launch again",
    )
