"""Encodes the recordings of a plan into a folder of .npy and .lab, skipping those done before.

The laptop runs this as a child process that answers in lines of JSON on stdout.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import numpy as np
import torch

from fintts_inputs.codec.find import find_codec
from fintts_inputs.data.listing import CODES, TEXT
from fintts_inputs.data.pairs import find_pairs
from fintts_inputs.errors import CodecProblem
from fintts_inputs.recordings.plan import Answer, Encoded, EncodePlan, Progress
from fintts_inputs.recordings.receipts import Receipt, Receipts, codec_record, key_of
from fintts_inputs.recordings.sound import Unreadable
from fintts_inputs.recordings.utterance import prepared
from fintts_store.disk.durable import write_file
from fintts_store.disk.errors import explained
from fintts_store.disk.lock import alone_in
from fintts_store.store import TEMPORARY_PREFIX
from fintts_trainer.answers import answer_all
from fintts_trainer.codecs import open_codec
from fintts_trainer.recordings.batches import batches

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fintts_inputs.recordings.plan import PlannedUtterance
    from fintts_trainer.codecs.base import Codec, Codes, Wave


def answer_plan(path: Path) -> int:
    """Follows the plan in this file and reports on stdout; returns 0 or 1."""

    def follow(tell: Callable[[Progress | Encoded], None]) -> Progress | Encoded:
        return encode_plan(EncodePlan.model_validate_json(path.read_bytes()), tell)

    return answer_all(follow, lambda part: Answer(answer=part))


def encode_plan(plan: EncodePlan, tell: Callable[[Progress], None]) -> Encoded:
    """Encodes what is not encoded yet; finished utterances are kept after any interruption.

    Raises:
        CodecProblem, BaseModelProblem: the codec cannot be used, or the GPU's memory is too small.
        DataProblem: the folder holds the codes of another codec.
        StoreError: the folder cannot be written.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with alone_in(plan.to):
        _remove_unfinished(plan.to)
        try:
            return _Encoding(plan, open_codec(find_codec(plan.codec), device), tell).run()
        except torch.OutOfMemoryError:
            raise CodecProblem(
                "the GPU's memory is too small to encode these recordings",
                "end other programs that use the GPU, cut long recordings at pauses, or set "
                "CUDA_VISIBLE_DEVICES= to encode on the CPU",
            ) from None


def _remove_unfinished(folder: Path) -> None:
    """Removes files that a killed process was writing; the lock excludes other processes."""
    for path in folder.rglob(f"{TEMPORARY_PREFIX}*"):
        with explained(path):
            path.unlink(missing_ok=True)


class _Encoding:
    def __init__(self, plan: EncodePlan, codec: Codec, tell: Callable[[Progress], None]) -> None:
        self._plan, self._codec, self._tell = plan, codec, tell
        self._receipts = Receipts(plan.to, codec_record(codec.shape, codec.digest))
        self._failed: list[tuple[str, str]] = []
        self._new = 0

    def run(self) -> Encoded:
        missing = [one for one in self._plan.utterances if not self._keep(one)]
        for batch in batches(missing, self._codec.shape):
            self._encode(batch)
        failed = {file for file, _ in self._failed}
        names = [one.name for one in self._plan.utterances if one.file not in failed]
        data = self._receipts.finish(names)
        return Encoded(
            new=self._new,
            kept=len(names) - self._new,
            frames=data.frames,
            hours=data.hours,
            codec_digest=self._codec.digest,
            failed=self._failed,
            left_over=sorted(find_pairs(self._plan.to).keys() - set(names)),
        )

    def _keep(self, one: PlannedUtterance) -> bool:
        """Whether its codes exist already; updates its text and speaker."""
        known = self._receipts.of(one.name)
        if known is None or known.key != key_of(one, self._codec.digest):
            return False
        try:
            content = self._path(one, CODES).read_bytes()
        except OSError:
            return False
        if hashlib.sha256(content).hexdigest() != known.codes_sha256:
            return False
        self._write_text(one)
        if (known.file, known.speaker) != (one.file, one.speaker):
            changed = {"file": one.file, "speaker": one.speaker}
            self._receipts.add(known.model_copy(update=changed))
        self._tell(Progress(done_seconds=one.seconds, is_new=False))
        return True

    def _encode(self, batch: list[PlannedUtterance]) -> None:
        waves = [(one, wave) for one in batch if (wave := self._wave(one)) is not None]
        codes = self._codec.encode([wave for _, wave in waves])
        for (one, _), its in zip(waves, codes, strict=True):
            self._write(one, its)
            self._new += 1
            self._tell(Progress(done_seconds=one.seconds, is_new=True))

    def _wave(self, one: PlannedUtterance) -> Wave | None:
        rate = self._codec.shape.sample_rate
        try:
            return prepared(one.path, one.digest, one.begin, one.end, one.gain, rate, one.piece)
        except Unreadable as error:
            self._failed.append((one.file, str(error)))
            return None

    def _write(self, one: PlannedUtterance, codes: Codes) -> None:
        """Writes codes and text, then the receipt."""
        stream = io.BytesIO()
        np.save(stream, codes, allow_pickle=False)
        content = stream.getvalue()
        write_file(self._path(one, CODES), content, within=self._plan.to)
        self._write_text(one)
        receipt = Receipt(
            name=one.name,
            key=key_of(one, self._codec.digest),
            file=one.file,
            speaker=one.speaker,
            seconds=round(one.seconds, 3),
            loudness_lufs=one.loudness_lufs,
            frames=codes.shape[1],
            codes_sha256=hashlib.sha256(content).hexdigest(),
        )
        self._receipts.add(receipt)

    def _write_text(self, one: PlannedUtterance) -> None:
        path, content = self._path(one, TEXT), (one.text + "\n").encode()
        if not path.is_file() or path.read_bytes() != content:
            write_file(path, content, within=self._plan.to)

    def _path(self, one: PlannedUtterance, suffix: str) -> Path:
        return self._plan.to / (one.name + suffix)
