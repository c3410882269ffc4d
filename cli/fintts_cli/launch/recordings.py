"""Recordings as the data of a run: checked here, uploaded in parts, encoded on the instance."""

from __future__ import annotations

import hashlib
import math
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.launch.codec import ENCODED_HERE, describe_codec
from fintts_cli.views.units import counted, duration
from fintts_inputs.codec.find import find_codec_for
from fintts_inputs.errors import DataProblem
from fintts_inputs.file_refs import digest_of
from fintts_inputs.recordings.files import list_recordings
from fintts_inputs.recordings.parts import (
    Speech,
    SpokenText,
    Texts,
    digest_of_speech,
    in_parts,
    write_part,
)
from fintts_inputs.recordings.receipts import RECIPE
from fintts_inputs.recordings.sound import Unreadable, read_sound
from fintts_inputs.recordings.survey import Survey, limits_of, survey
from fintts_inputs.recordings.transcripts import as_in_a_file
from fintts_store import layout
from fintts_store.disk.digest import sha256_of
from fintts_store.disk.errors import explained
from fintts_store.encoded import stored_parts
from fintts_store.runs.run_record import FileRef, RecordingsRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fintts_inputs.base_model.open import BaseModelFolder
    from fintts_inputs.codec.find import CodecFile
    from fintts_inputs.recordings.utterance import Utterance
    from fintts_store.encoded import StoredPart
    from fintts_store.runs.run_record import CodecRef
    from fintts_store.store import Store

AGAIN = "run the command again once nothing writes to the folder"
TOLD = 10
"""how often an upload says how far it is"""


@dataclass(frozen=True)
class CheckedRecordings:
    """Recordings that were read once and have no problem, and the codec that will encode them."""

    survey: Survey
    codec: CodecFile
    codec_ref: CodecRef | None
    """its files; None if it lies in the base model's weights"""
    codec_digest: str

    @cached_property
    def speech(self) -> dict[str, Utterance]:
        """What is sent, each once: two recordings of one content share it."""
        return {speech_of(one): one for one in self.survey.utterances}

    @cached_property
    def parts(self) -> dict[int, list[str]]:
        """The speech of each part, sorted."""
        parts: dict[int, list[str]] = {}
        for name, number in self._numbers.items():
            parts.setdefault(number, []).append(name)
        return parts

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return in_parts({name: one.seconds for name, one in self.speech.items()})

    @cached_property
    def texts(self) -> bytes:
        """The file of names and texts."""
        numbers = self._numbers
        spoken = [
            SpokenText(
                name=one.name,
                text=as_in_a_file(one.text),
                speech=(speech := speech_of(one)),
                part=numbers[speech],
                seconds=one.seconds,
                gain=one.gain,
            )
            for one in sorted(self.survey.utterances, key=lambda one: one.name)
        ]
        return Texts(utterances=tuple(spoken)).model_dump_json().encode()

    @cached_property
    def described(self) -> RecordingsRef:
        """The recordings as run.json names them, without their parts."""
        sha256 = hashlib.sha256(self.texts).hexdigest()
        rate = self.codec.shape.frames_per_second
        return RecordingsRef(
            prefix=layout.recordings_prefix(digest_of_speech(self.speech)),
            texts=FileRef(name=f"{sha256}.json", size_bytes=len(self.texts), sha256=sha256),
            parts=(),
            encoded=layout.encoded_prefix(self._encoded_digest()),
            codec=self.codec_digest,
            utterances=len(self.survey.utterances),
            frames=sum(math.ceil(one.seconds * rate) for one in self.survey.utterances),
            seconds=self.survey.seconds,
        )

    def upload(self, store: Store, tell: Callable[[str], None]) -> RecordingsRef:
        """Uploads texts and parts, except those that are there: an interrupted upload goes on.

        Raises:
            DataProblem: a recording has changed since it was checked.
            StoreError: the store cannot be written, or the disk is full.
        """
        return _upload(self, store, tell)

    def _encoded_digest(self) -> str:
        """SHA-256 of all that the codes depend on, which are neither names nor texts."""
        each = sorted((name, one.gain) for name, one in self.speech.items())
        return hashlib.sha256(repr((RECIPE, self.codec_digest, each)).encode()).hexdigest()


def speech_of(one: Utterance) -> str:
    """The name of an utterance's speech: SHA-256 of the recording and of where it is cut."""
    return hashlib.sha256(repr((one.digest, one.begin, one.end)).encode()).hexdigest()


def check_recordings(
    folder: Path, base: BaseModelFolder, on_read: Callable[[int, int], None]
) -> CheckedRecordings:
    """Reads every recording and its text.

    Args:
        on_read: called with the number of recordings read so far and in all.

    Raises:
        InputError: the codec does not fit, or a recording cannot be used.
    """
    codec = find_codec_for(base.shape, base.path, ENCODED_HERE)
    surveyed = survey(list_recordings(folder), limits_of(codec.shape, base.shape), on_read)
    surveyed.refuse_problems()
    reference = describe_codec(codec)
    digest = base.digest if reference is None else digest_of(reference.files)
    return CheckedRecordings(surveyed, codec, reference, digest)


def _upload(checked: CheckedRecordings, store: Store, tell: Callable[[str], None]) -> RecordingsRef:
    described = checked.described
    key = described.prefix + described.texts.name
    if not any(each.key == key for each in store.list(key)):
        store.put(key, checked.texts)
    there = stored_parts(store, described.prefix)
    missing = [number for number in checked.parts if number not in there]
    refs = {number: _reference(found[0]) for number, found in there.items()}
    if missing:
        speech, parts_said = duration(checked.survey.seconds), counted(len(missing), "part")
        tell(f"uploading recordings, {speech} of speech: {parts_said} of {len(checked.parts):,}")
    for done, number in enumerate(missing, start=1):
        refs[number] = _upload_part(store, checked, number)
        if done < len(missing) and done % max(1, len(missing) // TOLD) == 0:
            tell(f"{counted(done, 'part')} of {len(missing):,} uploaded")
    parts = tuple(refs[number] for number in sorted(checked.parts))
    return described.model_copy(update={"parts": parts})


def _reference(part: StoredPart) -> FileRef:
    name = layout.part_name(part.number, part.sha256)
    return FileRef(name=name, size_bytes=part.size_bytes, sha256=part.sha256)


def _upload_part(store: Store, checked: CheckedRecordings, number: int) -> FileRef:
    with tempfile.TemporaryDirectory(prefix="fintts-part-") as temporary:
        path = Path(temporary, "part.zip")
        with explained(path):
            write_part(path, _sound_of(checked.speech, checked.parts[number]))
        sha256, size_bytes = sha256_of(path), path.stat().st_size
        name = layout.part_name(number, sha256)
        store.put(checked.described.prefix + name, path)
    return FileRef(name=name, size_bytes=size_bytes, sha256=sha256)


def _sound_of(
    speech: Mapping[str, Utterance], names: Sequence[str]
) -> Iterator[tuple[str, Speech]]:
    for name in names:
        one = speech[name]
        try:
            sound = read_sound(one.path, math.inf, piece=one.piece)
        except Unreadable as error:
            raise DataProblem(f"{one.file} {error}", AGAIN) from None
        if sound.digest != one.digest:
            raise DataProblem(f"{one.file} has changed since it was checked", AGAIN)
        yield name, Speech(sound.samples[one.begin : one.end], sound.rate)
