"""The samples that a run has spoken on its own machine, for a folder or for the report's page."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.runs.status.checks import PLACE_OF, points_of, stopping_config
from fintts_cli.speech.mel import NO_WAV
from fintts_cli.speech.samples import Row, SamplesRecord
from fintts_store.disk.durable import write_file
from fintts_store.errors import InvalidRecord, KeyNotFound
from fintts_store.runs.limits import SAMPLE_BYTES
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.runs import read_run
from fintts_store.runs.samples import BASE, ORIGINAL, read_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fintts_store.runs.samples import Sample, Samples, Speaker
    from fintts_store.store import Store

MOST_PAGE_BYTES = 12 * 2**20
"""of sound on a page that holds it itself"""


def stored_record(samples: Samples) -> SamplesRecord:
    """What the samples of a run have in common."""
    found = samples.sentences
    return SamplesRecord(
        run=found.run, texts=found.texts, seed=found.seed, max_seconds=found.max_seconds
    )


def fetch_samples(
    store: Store, samples: Samples, folder: Path, warn: Callable[[str], None]
) -> list[Row]:
    """Writes the files that are missing in the folder; returns the rows of what is there.

    Raises:
        StoreError: the store cannot be read, or the folder cannot be written.
    """
    here: dict[tuple[Speaker, int], Path] = {}
    for place, sample in samples.files.items():
        path = folder / _file_name(sample)
        if not path.exists():
            content = _sound(store, samples, sample, warn)
            if content is None:
                continue
            write_file(path, content)
        here[place] = path
    return _rows(store, samples, here)


def _file_name(sample: Sample) -> str:
    """With the claim, since a later job may speak the same step."""
    return f"{sample.claim}-{sample.name}"


def _sound(
    store: Store, samples: Samples, sample: Sample, warn: Callable[[str], None]
) -> bytes | None:
    """A WAV file from the store; None if it is gone or something else."""
    key = sample.key(samples.sentences.run)
    try:
        content = store.get(key, SAMPLE_BYTES)
    except (InvalidRecord, KeyNotFound):
        content = b""
    if not _is_sound(content):
        warn(f"{key} is left out: it is no WAV file, or gone")
        return None
    return content


def _is_sound(content: bytes) -> bool:
    """Whether this is a WAV file that holds as much as its header says."""
    try:
        with wave.open(io.BytesIO(content)) as file:
            found = file.getparams()
            sound = file.readframes(found.nframes)
    except NO_WAV:
        return False
    size = int(found.nframes * found.nchannels * found.sampwidth)
    return int(found.framerate) > 0 and len(sound) == size


def _rows(store: Store, samples: Samples, here: dict[tuple[Speaker, int], Path]) -> list[Row]:
    """Recordings, base model, then the steps in order."""
    run, numbers = samples.sentences.run, range(1, len(samples.sentences.texts) + 1)
    stopping = stopping_config(read_run(store, run))
    rows = read_metrics(store, run).rows
    values = dict(points_of(rows, *PLACE_OF[stopping.monitor]))
    pick = max if stopping.mode == "max" else min
    checked = {step: value for step, value in values.items() if step > 0}
    best = pick(checked, key=lambda step: checked[step]) if checked else None
    found: list[Row] = []
    speakers: tuple[Speaker, ...] = (ORIGINAL, BASE, *samples.steps)
    for who in speakers:
        files = tuple(here.get((who, number)) for number in numbers)
        if not any(files):
            continue
        if isinstance(who, int):
            monitored = (stopping.monitor, values[who]) if who in values else None
            found.append(Row(f"step {who}", files, who, monitored, is_best=who == best))
        else:
            found.append(Row(who, files))
    return found


@dataclass(frozen=True, slots=True)
class Heard:
    """A sample on the report's page."""

    name: str
    text: str
    sound: bytes


def heard_in(store: Store, run: str, best_step: int | None) -> tuple[Heard, ...]:
    """Recording, base model, best and last, sentence by sentence, as far as a page can hold them.

    Raises:
        StoreError: the store cannot be read.
    """
    samples = read_samples(store, run)
    return () if samples is None else tuple(_chosen(store, samples, best_step))


def _chosen(store: Store, samples: Samples, best_step: int | None) -> Iterator[Heard]:
    names: dict[Speaker, str] = {ORIGINAL: "recording", BASE: "base model"}
    if best_step in samples.steps:
        names[best_step] = f"best, step {best_step:,}"
    if samples.steps:
        last = samples.steps[-1]
        names[last] = names.get(last, f"last, step {last:,}")
    left = MOST_PAGE_BYTES
    for number, text in enumerate(samples.sentences.texts, 1):
        for who, name in names.items():
            sample = samples.files.get((who, number))
            if sample is None or sample.size_bytes > left:
                continue
            sound = _sound(store, samples, sample, lambda _sentence: None)
            if sound is not None:
                left -= len(sound)
                yield Heard(name, text, sound)
