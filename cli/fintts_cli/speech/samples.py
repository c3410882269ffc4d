"""The samples of a run on this machine: the same sentences by base model and checkpoints."""

from __future__ import annotations

import wave
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from fintts_cli.errors import UsageProblem
from fintts_cli.speech.mel import NO_WAV
from fintts_cli.speech.originals import originals_in
from fintts_cli.speech.voices import BASE_ALONE, ORIGINAL, Source, originals_of, recording_of
from fintts_inputs.data.pairs import split
from fintts_store.checkpoints.retention import best_of
from fintts_store.disk.durable import write_file
from fintts_store.disk.errors import explained
from fintts_store.disk.reading import read_limited
from fintts_store.errors import InvalidRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fintts_inputs.speech.plan import Voice
    from fintts_store.checkpoints.manifest import Manifest

FILE = "samples.json"


class SamplesRecord(BaseModel):
    """samples.json: what every sample in the folder has in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    texts: tuple[str, ...]
    seed: int
    max_seconds: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text to hear, and its recording, if there is one."""

    text: str
    recording: Source | None


@dataclass(frozen=True, slots=True)
class Row:
    """Who speaks, and the file of each sentence; None where there is no recording of it.

    Attributes:
        step: None for the base model and for the recordings.
        monitored: what early stopping watches, and its value at that step.
        checkpoint: the one to speak with; None if there is none, or it has spoken.
    """

    name: str
    files: tuple[Path | None, ...]
    step: int | None = None
    monitored: tuple[str, float] | None = None
    is_best: bool = False
    checkpoint: Manifest | None = None

    def missing(
        self, sentences: Sequence[Sentence], source_of: Callable[[Manifest], Source]
    ) -> list[Voice]:
        """The voices whose files do not exist yet.

        Args:
            source_of: fetches the adapter of a checkpoint; called only if a file is missing.
        """
        numbered = zip(range(1, len(sentences) + 1), sentences, self.files, strict=True)
        new = [(n, one, file) for n, one, file in numbered if file and not file.exists()]
        if not new:
            return []
        own = BASE_ALONE if self.checkpoint is None else source_of(self.checkpoint)
        return [
            replace(
                one.recording if self.name == ORIGINAL and one.recording else own,
                name=f"{self.name}, sentence {number}",
            ).voice(one.text, file)
            for number, one, file in new
        ]


def held_out_sentences(data: Path, fraction: float, count: int) -> list[Sentence]:
    """The first texts that a run with this validation fraction is not trained on.

    Raises:
        InputError: the folder cannot be opened, or nothing is held out.
    """
    originals = originals_in(data)
    names = list(originals)
    found: list[Sentence] = []
    for index in split(names, fraction).held_out:
        one = originals[names[index]]
        if text := one.read():
            found.append(Sentence(text, recording_of(one)))
        if len(found) == count:
            break
    return found


def given_sentences(texts: Sequence[str], data: Path | None) -> list[Sentence]:
    """The user's own texts, with their recordings where the data have them."""
    recordings = originals_of(texts, data)
    return [Sentence(text, recordings.get(text)) for text in texts]


def rows_of(
    sentences: Sequence[Sentence], checkpoints: Sequence[Manifest], folder: Path
) -> list[Row]:
    """Recordings, base model, then the checkpoints by step."""
    numbers = range(1, len(sentences) + 1)

    def files(name: str) -> tuple[Path, ...]:
        return tuple(folder / f"{name}-{number}.wav" for number in numbers)

    recorded = zip(files(ORIGINAL), sentences, strict=True)
    originals = tuple(None if one.recording is None else file for file, one in recorded)
    rows = [Row(ORIGINAL, originals)] if any(originals) else []
    rows.append(Row(BASE_ALONE.name, files(BASE_ALONE.name)))
    best = best_of(checkpoints)
    for one in checkpoints:
        named = files(f"step-{one.step}-{one.claim}")
        monitored = None if one.value is None else (one.monitor, one.value)
        title = f"step {one.step}"
        rows.append(Row(title, named, one.step, monitored, is_best=one == best, checkpoint=one))
    return rows


def begin(folder: Path, record: SamplesRecord) -> None:
    """Opens the folder of samples, or makes it.

    Raises:
        UsageProblem: it holds other samples, or something else.
        StoreError: it cannot be read or written.
    """
    path = folder / FILE
    with explained(folder):
        if not folder.exists() or not any(folder.iterdir()):
            write_file(path, record.model_dump_json(indent=1).encode())
            return
    if _read(path) != record:
        raise UsageProblem(
            f"{folder} holds something other than samples of these texts, this seed and this limit",
            "name another folder with --to",
        )


def _read(path: Path) -> SamplesRecord | None:
    try:
        return SamplesRecord.model_validate_json(read_limited(path))
    except (FileNotFoundError, InvalidRecord, ValidationError):
        return None


def seconds_of(path: Path) -> float | None:
    """The length of a WAV file; None if it is not one."""
    try:
        with wave.open(str(path)) as file:
            frames, rate = int(file.getnframes()), int(file.getframerate())
    except (OSError, *NO_WAV):
        return None
    return frames / rate if rate else None
