"""The first stage of a run on recordings: encodes what no job has encoded yet, and makes the data
set.

The first process works, the others wait. Each part's codes go into the store as soon as they are
complete, so that another job goes on after them; codes on this disk are used again, too.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fintts_cost import __version__
from fintts_inputs.codec.find import find_codec
from fintts_inputs.data.codes import parse_codes
from fintts_inputs.data.packing import Packable, pack_utterances
from fintts_inputs.errors import DataProblem
from fintts_inputs.recordings.parts import parse_texts
from fintts_store import layout
from fintts_store.encoded import commit_encoded, find_encoded, stored_parts
from fintts_store.errors import StoreError
from fintts_store.network.retrying import insist
from fintts_store.runs.records import Encoded, Phase
from fintts_store.runs.run_record import DatasetRef, EncodedRecord
from fintts_trainer.loop.reasons import PREEMPTED
from fintts_trainer.processes.hang_limits import LEAST_SECONDS, UNMEASURED_SECONDS
from fintts_trainer.recordings.part import PartEncoder, codes_path
from fintts_trainer.session.job import fetch_base_model, fetch_codec, fetch_texts
from fintts_trainer.session.preemption import GRACE_SECONDS
from fintts_trainer.session.session import StoreSession

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    import torch

    from fintts_inputs.codec.find import CodecFile
    from fintts_inputs.recordings.parts import Texts
    from fintts_store.runs.run_record import RecordingsRef
    from fintts_trainer.loop.reasons import Reason
    from fintts_trainer.processes.world import World
    from fintts_trainer.session.preemption import Preemption
    from fintts_trainer.session.session import Session

MINUTE = 60


class Early(NamedTuple):
    """Why a run ends before it has a data set, and how far it got."""

    reason: Reason
    so_far: str


def encode_recordings(
    session: Session, world: World, preemption: Preemption
) -> tuple[Session, Early | None]:
    """The session of a run that has its data set; or why the run ends before it has one. All
    processes agree.

    Raises:
        InputError, StoreError: a recording or the codec cannot be used, or the store not written.
        PeerLost: the first process has ended.
    """
    record = session.record
    if not record.begins_with_encoding or record.recordings is None:
        return session, None
    session.progress.begin("encoding recordings", UNMEASURED_SECONDS, "encoding")
    made: DatasetRef | Early | None = None
    if isinstance(session, StoreSession):
        made = _Stage(session, record.recordings, world.device, preemption).run()
    made = world.from_first(made)
    if not isinstance(made, DatasetRef):
        return session, made
    session.change_status(phase=Phase.SETUP, message=None)
    return replace(session, record=record.model_copy(update={"dataset": made})), None


class _Stage:
    def __init__(
        self,
        session: StoreSession,
        recordings: RecordingsRef,
        device: torch.device,
        preemption: Preemption,
    ) -> None:
        self._session, self._recordings, self._device = session, recordings, device
        self._preemption = preemption
        self._kept_seconds = 0.0
        """of speech whose codes are in the store"""
        self._before = session.heartbeat.status.encoded or Encoded(speech_seconds=0.0, seconds=0.0)
        self._encoded_seconds = 0.0
        """of speech, by this job"""
        # A run that never trained may have had another codec.
        digest = recordings.encoded.rstrip("/").rpartition("/")[2]
        self._folder = session.job.workspace / "recordings" / digest[:16]

    def run(self) -> DatasetRef | Early:
        """The data set, or why the run ends before there is one."""
        session, recordings = self._session, self._recordings
        found = find_encoded(session.job.store, recordings)
        if found is not None:
            session.log("another run has encoded the recordings meanwhile; its codes are used")
            return found.dataset
        session.change_status(phase=Phase.ENCODING)
        with session.clock.spend("setup"):  # as an estimate counts it
            codec = self._codec()
        session.progress.begin("encoding recordings", UNMEASURED_SECONDS, "encoding")
        with session.clock.spend("encoding"):
            content = fetch_texts(session.job, recordings, self._folder, session.progress.sign)
            texts = parse_texts(content.read_bytes(), recordings.texts.name)
            reason = self._encode(texts, codec)
            if reason is not None:
                return Early(reason, self._so_far)
            dataset = self._commit(texts, codec)
        shutil.rmtree(self._folder, ignore_errors=True)
        return dataset

    def _codec(self) -> CodecFile:
        session = self._session
        session.progress.begin("fetching the codec", LEAST_SECONDS, "setup")
        if session.record.codec is None:  # it lies in the base model's weights
            fetch_base_model(session.job, session.record, session.progress.sign)
        return find_codec(fetch_codec(session.job, session.record, session.progress.sign))

    def _encode(self, texts: Texts, codec: CodecFile) -> Reason | None:
        """Encodes the missing parts, one after the other; returns why it stops before the last."""
        session = self._session
        stored = stored_parts(session.job.store, self._recordings.encoded)
        encoder = PartEncoder(session, self._recordings, self._folder, codec, self._device)
        for number in range(len(self._recordings.parts)):
            if (reason := self._reason()) is not None:
                return reason
            utterances, done = texts.of_part(number), self._kept_seconds
            if not encoder.restore(number, utterances, stored.get(number, ())):
                for seconds, is_last in encoder.encode(number, utterances):
                    self._encoded_seconds += seconds
                    done += seconds
                    self._tell(done)
                    # A complete part is kept: its upload takes a moment.
                    if not is_last and (reason := self._reason()) is not None:
                        return reason
                encoder.upload(number, utterances)
            self._kept_seconds += sum(one.seconds for one in utterances)
            self._tell(self._kept_seconds)
        return None

    def _reason(self) -> Reason | None:
        """Why to stop before the next batch."""
        self._session.check_uploads()
        asked = self._session.reason_to_end(has_check=False)
        return asked or (PREEMPTED if self._preemption.is_requested else None)

    def _tell(self, done: float) -> None:
        self._session.progress.sign()
        encoded = Encoded(
            speech_seconds=self._before.speech_seconds + self._encoded_seconds,
            seconds=self._session.clock.so_far()["encoding"],
        )
        told = f"{self._of_all(done)} are encoded"
        self._session.change_status(message=told, encoded=encoded)

    @property
    def _so_far(self) -> str:
        if not self._kept_seconds:
            return "no part of the recordings is encoded yet"
        return f"{self._of_all(self._kept_seconds)} are encoded and kept"

    def _of_all(self, seconds: float) -> str:
        whole = self._recordings.seconds
        return f"{seconds / MINUTE:.1f} of {whole / MINUTE:.1f} min of speech"

    def _commit(self, texts: Texts, codec: CodecFile) -> DatasetRef:
        """Packs all codes with names and texts; records the pack in the store."""
        session, recordings = self._session, self._recordings
        packables = [
            Packable(one.name, one.text, codes.shape[1], partial(codes_at, path))
            for one in texts.utterances
            for path in [codes_path(self._folder, one.speech)]
            for codes in [codes_at(path)]
        ]
        packed = pack_utterances(packables, codec.shape.codebooks, session.job.workspace)
        dataset = DatasetRef(
            key=layout.encoded_dataset_key(recordings.encoded, packed.sha256),
            sha256=packed.sha256,
            size_bytes=packed.size_bytes,
            utterances=packed.utterances,
            frames=packed.frames,
        )
        record = EncodedRecord(
            texts_sha256=recordings.texts.sha256,
            dataset=dataset,
            codec=recordings.codec,
            fintts_version=__version__,
            encoded_at=session.wall_clock.now(),
        )
        store = session.job.store
        try:
            insist(lambda: store.put(dataset.key, packed.path), GRACE_SECONDS)
            counting = insist(lambda: commit_encoded(store, recordings, record), GRACE_SECONDS)
        except StoreError as error:
            session.log(f"all codes are kept, but their data set is not: {error.message}")
            raise
        if counting.dataset.sha256 != dataset.sha256:
            session.log("another run has encoded the recordings meanwhile; its codes are used")
        session.log(
            f"{dataset.utterances:,} recordings are encoded, "
            f"{recordings.seconds / MINUTE:.1f} min of speech"
        )
        return counting.dataset


def codes_at(path: Path) -> npt.NDArray[np.int32]:
    """int32 [codebooks, frames].

    Raises:
        DataProblem: the file was damaged since it was written.
    """
    codes, fault = parse_codes(path.read_bytes())
    if fault:
        raise DataProblem(f"{path} {fault}", "remove it, and start the run again")
    return codes.astype(np.int32)
