"""Records what was encoded into a folder: in a journal during the work, in data.json at the end.

A receipt is written after its utterance's codes and text, so every receipt stands for complete
files, even if the process is killed. At the end data.json takes all receipts and the journal is
removed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from fintts_inputs.data.listing import RECEIPTS
from fintts_inputs.errors import DataProblem
from fintts_store.disk.durable import write_file
from fintts_store.disk.errors import explained
from fintts_store.disk.reading import read_limited

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from fintts_inputs.codec.shape import CodecShape
    from fintts_inputs.recordings.plan import PlannedUtterance

JOURNAL = ".encoding.jsonl"
LARGEST_BYTES = 1024**3
RECIPE = 1
"""the version of how a recording is prepared; another one gives other codes"""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CodecRecord(_Part):
    """The codec that made the codes."""

    title: str
    digest: str
    sample_rate: int
    frame_samples: int
    codebook_sizes: list[int]

    @property
    def frames_per_second(self) -> float:
        """Frame rate of the codes."""
        return self.sample_rate / self.frame_samples


class Receipt(_Part):
    """An encoded utterance: its name, its source and its codes."""

    name: str
    key: str
    file: str
    speaker: str
    seconds: float
    loudness_lufs: float
    frames: int
    codes_sha256: str


class DataFile(_Part):
    """data.json."""

    version: int = 1
    codec: CodecRecord
    hours: float
    frames: int
    speakers: dict[str, int]
    utterances: list[Receipt]


class Begun(_Part):
    """The first line of a journal."""

    codec_digest: str


def count_by_name(names: Iterable[str]) -> dict[str, int]:
    """How often each name occurs, sorted by name."""
    return dict(sorted(Counter(names).items()))


def codec_record(shape: CodecShape, digest: str) -> CodecRecord:
    """The codec, as data.json describes it."""
    return CodecRecord(
        title=shape.title,
        digest=digest,
        sample_rate=shape.sample_rate,
        frame_samples=shape.frame_samples,
        codebook_sizes=list(shape.codebook_sizes),
    )


def key_of(one: PlannedUtterance, codec_digest: str) -> str:
    """SHA-256 of everything that the codes depend on."""
    parts = (RECIPE, codec_digest, one.digest, one.begin, one.end, one.gain)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def read_data_file(folder: Path) -> DataFile | None:
    """FOLDER/data.json; None if there is none.

    Raises:
        DataProblem: it is damaged.
    """
    path = folder / RECEIPTS
    if not path.exists():
        return None
    try:
        return DataFile.model_validate_json(read_limited(path, LARGEST_BYTES))
    except ValidationError:
        raise DataProblem(
            f"{path} was not written by `fintts data encode`", "remove it, and encode again"
        ) from None


class Receipts:
    """The receipts of a folder that one process writes to."""

    def __init__(self, folder: Path, codec: CodecRecord) -> None:
        """Reads the existing ones.

        Raises:
            DataProblem: the folder has codes of another codec, or data.json is damaged.
            StoreError: the journal cannot be written.
        """
        self._folder, self._codec = folder, codec
        self._journal = folder / JOURNAL
        known = read_data_file(folder)
        self._found: dict[str, Receipt] = {}
        if known is not None:
            self._refuse_other(known.codec.digest)
            self._found = {receipt.name: receipt for receipt in known.utterances}
        self._read_journal()

    def of(self, name: str) -> Receipt | None:
        """The receipt of an utterance."""
        return self._found.get(name)

    def add(self, receipt: Receipt) -> None:
        """Writes a receipt. Raises StoreError if the disk is full."""
        self._found[receipt.name] = receipt
        with explained(self._journal), self._journal.open("ab") as file:
            # The first line break ends a line that a killed process left unfinished.
            file.write(b"\n" + receipt.model_dump_json().encode() + b"\n")

    def finish(self, names: list[str]) -> DataFile:
        """Writes data.json for these utterances, and removes the journal.

        The content does not depend on how often the work was interrupted.
        """
        receipts = [self._found[name] for name in sorted(names)]
        frames = sum(receipt.frames for receipt in receipts)
        data = DataFile(
            codec=self._codec,
            hours=round(frames / self._codec.frames_per_second / 3600, 6),
            frames=frames,
            speakers=count_by_name(receipt.speaker for receipt in receipts),
            utterances=receipts,
        )
        write_file(self._folder / RECEIPTS, (data.model_dump_json(indent=1) + "\n").encode())
        with explained(self._journal):
            self._journal.unlink()
        return data

    def _refuse_other(self, digest: str) -> None:
        if digest != self._codec.digest:
            raise DataProblem(
                f"{self._folder} has codes of another codec: {digest[:12]} instead of "
                f"{self._codec.digest[:12]}",
                "choose another folder with --to, or remove this one",
            )

    def _read_journal(self) -> None:
        if not self._journal.exists():
            begun = Begun(codec_digest=self._codec.digest)
            write_file(self._journal, begun.model_dump_json().encode() + b"\n")
            return
        first, *lines = read_limited(self._journal, LARGEST_BYTES).split(b"\n")
        try:
            self._refuse_other(Begun.model_validate_json(first).codec_digest)
        except ValidationError:
            raise DataProblem(
                f"{self._journal} is damaged", "remove it; its utterances are then encoded again"
            ) from None
        for line in filter(None, lines):
            try:
                receipt = Receipt.model_validate_json(line)
            except ValidationError:
                continue  # unfinished, so its utterance is encoded again
            self._found[receipt.name] = receipt
