"""The voices that a run, an exported folder or the base model alone can speak with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.checkpoints.adapter_of_run import refuse_another, restore_adapter
from fintts_cli.checkpoints.pull import Choice, find_checkpoints
from fintts_cli.errors import UsageProblem
from fintts_cli.speech.originals import originals_in
from fintts_inputs.base_model.adapter import ADAPTER_CONFIG, base_digest_of, prompt_of_adapter
from fintts_inputs.base_model.families import read_shape
from fintts_inputs.base_model.files import CONFIG
from fintts_inputs.base_model.open import open_base_model
from fintts_inputs.errors import InputError
from fintts_inputs.prompts import prompt_begun_with
from fintts_inputs.speech.plan import Voice
from fintts_store.checkpoints.retention import best_of, newest_of
from fintts_store.runs.runs import read_run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fintts_cli.speech.originals import Original
    from fintts_cli.terminal.terminal import Terminal
    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.runs.run_record import RunRecord
    from fintts_store.store import Store

BASE, BEST, LAST, ORIGINAL = "base", "best", "last", "original"
ITS_BASE = "give its folder with --base-model"


@dataclass(frozen=True, slots=True)
class Source:
    """One way to speak, before it has a file to write to.

    Attributes:
        name: for people and in JSON.
        title: for a file name.
        step: of the checkpoint; None if there is none.
    """

    name: str
    title: str
    step: int | None = None
    adapter: Path | None = None
    prompt: str | None = None
    recording: Path | None = None

    def voice(self, text: str, to: Path) -> Voice:
        """This source saying a text into a new file."""
        return Voice(
            name=self.name,
            text=text,
            adapter=self.adapter,
            prompt=self.prompt,
            recording=self.recording,
            to=to,
        )


BASE_ALONE = Source(BASE, BASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user chose: one checkpoint, or all there is to compare."""

    choice: Choice
    compare: bool


def of_run(
    store: Store, run: str, wanted: Wanted, base: Path, scratch: Path, terminal: Terminal
) -> list[Source]:
    """The chosen checkpoints of a run, whose adapters are fetched into `scratch`.

    Raises:
        CheckFailed: the run has no checkpoint.
        UsageProblem: there is no such checkpoint, or `base` is another base model.
        StoreError: a checkpoint could not be read.
    """
    manifests, _ = find_checkpoints(store, run, terminal, wanted.choice.step)
    chosen = _compared(manifests) if wanted.compare else _one(manifests, wanted.choice)
    prompt = prompt_of_run(read_run(store, run), base)
    sources = [fetched(store, name, manifest, scratch, prompt) for name, manifest in chosen]
    return [BASE_ALONE, *sources] if wanted.compare else sources


def prompt_of_run(record: RunRecord, base: Path) -> str:
    """The name of the prompt that a run was trained with.

    Raises:
        UsageProblem: `base` is another base model.
        ConfigurationChanged: this version does not know the prompt.
    """
    refuse_another(base, record, ITS_BASE)
    return prompt_begun_with(record.prompt, read_shape(base).prompts).name


def fetched(store: Store, name: str, manifest: Manifest, scratch: Path, prompt: str) -> Source:
    """A checkpoint, whose adapter is fetched into `scratch`.

    Raises:
        StoreError: it could not be read.
    """
    folder = scratch / f"{manifest.step}-{manifest.claim}"
    if not folder.exists():
        restore_adapter(store, manifest, folder)
    return Source(name, f"{manifest.run}-{manifest.step}", manifest.step, folder, prompt)


def _compared(manifests: list[Manifest]) -> list[tuple[str, Manifest]]:
    """The best and the last; only one of them if they are the same."""
    found = {BEST: best_of(manifests), LAST: newest_of(manifests)}
    if found[BEST] == found[LAST]:
        del found[LAST]
    return [(name, manifest) for name, manifest in found.items() if manifest is not None]


def _one(manifests: list[Manifest], choice: Choice) -> list[tuple[str, Manifest]]:
    """The chosen one; by default the best, or the last if none is the best yet."""
    if choice.is_all:
        choice = Choice(best=True) if best_of(manifests) else Choice(last=True)
    (manifest,) = choice.of(manifests)
    name = BEST if choice.best else LAST if choice.last else f"step {manifest.step}"
    return [(name, manifest)]


def is_folder(run: str) -> bool:
    """Whether the user means a folder, and not a run of that name."""
    path = Path(run)
    return os.sep in run or (path / ADAPTER_CONFIG).is_file() or (path / CONFIG).is_file()


def is_merged(folder: Path) -> bool:
    """Whether a folder holds a whole model.

    Raises:
        UsageProblem: it holds neither a model nor an adapter.
    """
    if (folder / ADAPTER_CONFIG).is_file():
        return False
    if (folder / CONFIG).is_file():
        return True
    raise UsageProblem(
        f"{folder} holds no adapter and no model",
        "name a run, or a folder that `fintts export` or `fintts cloud pull-checkpoints` wrote",
    )


def of_adapter(folder: Path, base: Path, terminal: Terminal) -> Source:
    """The adapter in a folder, on a base model.

    Raises:
        BaseModelProblem: a file of either is missing or damaged.
    """
    model = open_base_model(base)
    trained_on = base_digest_of(folder)
    if trained_on is not None and trained_on != model.digest:
        terminal.warn(
            f"{folder} was not trained on the files in {base}",
            "what you hear may be noise; name its base model with --base-model",
        )
    prompt = prompt_of_adapter(folder, model.shape.prompts)
    name = folder.resolve().name
    return Source(name, name, adapter=folder, prompt=None if prompt is None else prompt.name)


def original_of(text: str, data: Path | None) -> Source | None:
    """A recording of exactly this text among the data, if there is one."""
    return originals_of([text], data).get(text)


def originals_of(texts: Iterable[str], data: Path | None) -> dict[str, Source]:
    """Text → its first recording among the data, for the texts that have one."""
    if data is None:
        return {}
    try:
        originals = originals_in(data)
    except InputError:
        return {}
    missing, found = set(texts), dict[str, Source]()
    for one in originals.values():
        if not missing:
            break
        if (source := recording_of(one)) is not None and (text := one.read()) in missing:
            missing.remove(text)
            found[text] = source
    return found


def recording_of(one: Original) -> Source | None:
    """An utterance as its recording speaks it, if it has a file of its own."""
    return None if one.path is None else Source(ORIGINAL, ORIGINAL, recording=one.path)


def with_files(
    sources: Iterable[Source],
    output: Path | None,
    seed: int,
    suffixes: tuple[str, ...] = (".wav",),
) -> list[Path]:
    """A new file for each source.

    Args:
        output: the file for one source; for several, their names are added to its own.
        suffixes: with none of which a file of that name may exist.

    Raises:
        UsageProblem: a file of that name exists.
    """
    found = list(sources)
    if output is None:
        return [_free(Path(f"{one.title}-seed-{seed}.wav"), suffixes) for one in found]
    if len(found) == 1:
        return [_refuse_existing(output, suffixes)]
    return [
        _refuse_existing(output.with_name(f"{output.stem}-{one.name}{output.suffix}"), suffixes)
        for one in found
    ]


def _refuse_existing(path: Path, suffixes: tuple[str, ...]) -> Path:
    for there in _existing(path, suffixes):
        raise UsageProblem(f"{there} exists already", "name another file with --output")
    return path


def _free(path: Path, suffixes: tuple[str, ...]) -> Path:
    number, found = 1, path
    while _existing(found, suffixes):
        number += 1
        found = path.with_stem(f"{path.stem}-{number}")
    return found


def _existing(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    named = [path, *(path.with_suffix(suffix) for suffix in suffixes if suffix != path.suffix)]
    return [one for one in named if one.exists() or one.is_symlink()]
