"""Encodes one part of a run's recordings, or takes its codes from the store or from this disk."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import torch

from fintts_inputs.errors import CodecProblem, DataProblem
from fintts_inputs.recordings.parts import CODES, fault_of_codes, read_codes, read_part, write_codes
from fintts_inputs.recordings.sound import amplified
from fintts_store import layout
from fintts_store.disk.digest import sha256_of
from fintts_store.disk.durable import make_directories, write_file
from fintts_store.disk.errors import explained
from fintts_store.errors import StoreError
from fintts_store.network.fetch import fetch
from fintts_store.network.retrying import insist
from fintts_trainer.codecs import open_codec
from fintts_trainer.recordings.batches import batches
from fintts_trainer.session.preemption import GRACE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from fintts_inputs.codec.find import CodecFile
    from fintts_inputs.recordings.parts import SpokenText
    from fintts_store.encoded import StoredPart
    from fintts_store.runs.run_record import RecordingsRef
    from fintts_trainer.codecs.base import Codec, Codes, Wave
    from fintts_trainer.session.session import StoreSession


class PartEncoder:
    """Works in a folder with a .npy file for each utterance that is encoded."""

    def __init__(
        self,
        session: StoreSession,
        recordings: RecordingsRef,
        folder: Path,
        codec: CodecFile,
        device: torch.device,
    ) -> None:
        self._session, self._recordings, self._folder = session, recordings, folder
        self._file, self._device = codec, device
        self._codec: Codec | None = None

    def restore(
        self, number: int, utterances: Sequence[SpokenText], stored: Sequence[StoredPart]
    ) -> bool:
        """Whether the store has the codes of this part, which are then on this disk."""
        names = [one.speech for one in utterances]
        for one in stored:
            path = self._folder / f"part-{number}.zip"
            try:
                fetch(self._session.job.store, one.key, path, one.sha256, one.size_bytes)
                codes = read_codes(path, names, self._file.shape)
            except (DataProblem, StoreError) as error:
                self._session.log(f"part {number + 1} is encoded again: {error.message}")
                continue
            finally:
                path.unlink(missing_ok=True)
            for name, content in codes.items():
                write_file(self._path(name), content)
            return True
        return False

    def encode(self, number: int, utterances: Sequence[SpokenText]) -> Iterator[tuple[float, bool]]:
        """Encodes a part, except what is on this disk; yields the seconds of speech of each batch,
        and whether it is the last.

        Raises:
            CodecProblem: the codec cannot read an utterance, or the memory is too small.
            DataProblem, StoreError: the part is damaged, or cannot be fetched.
        """
        missing = [one for one in utterances if not self._has(one.speech)]
        if not missing:
            return
        codec = self._opened()
        waves = self._waves(number, utterances, codec.shape.sample_rate)
        all_batches = list(batches(missing, codec.shape))
        for batch in all_batches:
            codes = self._encoded(codec, batch, [waves[one.speech] for one in batch])
            for one, its in zip(batch, codes, strict=True):
                write_file(self._path(one.speech), _content(its))
            yield sum(one.seconds for one in batch), batch is all_batches[-1]

    def upload(self, number: int, utterances: Sequence[SpokenText]) -> None:
        """Writes the codes of a complete part to the store.

        Raises:
            StoreError: the store does not take them, or the disk is full.
        """
        path = self._folder / f"part-{number}.zip"
        named = ((one.speech, self._path(one.speech).read_bytes()) for one in utterances)
        with explained(path):
            write_codes(path, named)
        key = self._recordings.encoded + layout.part_name(number, sha256_of(path))
        try:
            insist(lambda: self._session.job.store.put(key, path), GRACE_SECONDS)
        except StoreError as error:
            self._session.log(
                f"the codes of part {number + 1} do not reach the store, those before it are "
                f"kept: {error.message}"
            )
            raise
        finally:
            path.unlink(missing_ok=True)

    def _opened(self) -> Codec:
        if self._codec is None:
            self._codec = open_codec(self._file, self._device)
        return self._codec

    def _has(self, speech: str) -> bool:
        """Whether an interrupted job has left these codes here."""
        with suppress(OSError):
            return not fault_of_codes(self._path(speech).read_bytes(), self._file.shape)
        return False

    def _waves(self, number: int, utterances: Sequence[SpokenText], rate: int) -> dict[str, Wave]:
        """The speech of a part as the codec reads it: some ten minutes."""
        file, session = self._recordings.parts[number], self._session
        path, key = self._folder / file.name, self._recordings.prefix + file.name
        make_directories(self._folder)
        sign = session.progress.sign
        fetch(session.job.store, key, path, file.sha256, file.size_bytes, sign)
        try:
            gains = {one.speech: one.gain for one in utterances}
            return {
                name: amplified(speech.samples, speech.rate, gains[name], rate)
                for name, speech in read_part(path, list(gains))
            }
        finally:
            path.unlink(missing_ok=True)

    def _encoded(
        self, codec: Codec, batch: Sequence[SpokenText], waves: Sequence[Wave]
    ) -> list[Codes]:
        """The codes of a batch, which do not depend on it: if it fails, its utterances are encoded
        one by one."""
        try:
            return codec.encode(waves)
        except (CodecProblem, torch.OutOfMemoryError):
            return [self._alone(codec, *one) for one in zip(batch, waves, strict=True)]

    def _alone(self, codec: Codec, one: SpokenText, wave: Wave) -> Codes:
        try:
            return codec.encode([wave])[0]
        except CodecProblem as error:
            raise CodecProblem(f"{one.name}: {error.message}", error.hint) from None
        except torch.OutOfMemoryError:
            raise CodecProblem(
                f"the GPU's memory is too small to encode {one.name}, {one.seconds:.0f} s long",
                "cut it at pauses, or choose a GPU with more memory",
            ) from None

    def _path(self, speech: str) -> Path:
        return codes_path(self._folder, speech)


def codes_path(folder: Path, speech: str) -> Path:
    """The codes of one utterance on this disk."""
    return folder / f"{speech}{CODES}"


def _content(codes: Codes) -> bytes:
    stream = io.BytesIO()
    np.save(stream, codes.astype(np.int32), allow_pickle=False)
    return stream.getvalue()
