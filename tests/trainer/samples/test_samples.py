"""A sample that fails leaves the others alone; it is explained once, and counted."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import torch

from fintts_inputs.base_model.families import read_config
from fintts_inputs.codec.find import find_codec
from fintts_inputs.config import LoraConfig, SamplesConfig
from fintts_store.errors import StoreUnreachable
from fintts_store.runs.samples import BASE as BASE_ALONE
from fintts_store.runs.samples import ORIGINAL, Sample, SampleSet, read_samples
from fintts_trainer.codecs import open_codec
from fintts_trainer.families.fish import FishFamily
from fintts_trainer.model.lora import add_adapter
from fintts_trainer.samples.limits import Limits
from fintts_trainer.samples.outbox import Outbox
from fintts_trainer.samples.samples import Samples
from fintts_trainer.samples.sentences import Sentence
from fintts_trainer.samples.speaker import SampleSpeaker, speaking
from memory_store import MemoryStore
from parity_fixtures import HERE
from tiny_run import TINY

if TYPE_CHECKING:
    from peft import PeftModel

    from fintts_store.runs.samples import Speaker

CODEC = HERE / "codec_for_fish_s1_tiny"
RUN, STEP = "mine", 7


class Unreachable(MemoryStore):
    """A store that takes nothing."""

    def put(self, key: str, source: bytes | Path) -> None:
        raise StoreUnreachable("nobody answers", "")


@dataclass
class Told:
    """What a run was told."""

    lines: list[str] = field(default_factory=list[str])


BASE = FishFamily().open(read_config(TINY))
MODEL = cast("PeftModel", BASE.load(torch.float32))


def samples(
    store: MemoryStore,
    told: Told,
    *sentences: Sentence,
    claim: int = 1,
    show: object = lambda *_: None,
) -> Samples:
    codec = open_codec(find_codec(CODEC), torch.device("cpu"))
    speaker = SampleSpeaker(BASE, codec, sentences, SamplesConfig(held_out=1, max_seconds=0.2))
    texts = tuple(one.text for one in sentences)
    record = SampleSet(run=RUN, claim=claim, texts=texts, seed=0, max_seconds=0.2)
    store.put(f"runs/{RUN}/samples/{claim:06d}/samples.json", record.dump().encode())
    log = told.lines.append
    return Samples(speaker, record, Outbox(store, log), log, show)  # type: ignore[arg-type]


def files_of(store: MemoryStore) -> dict[tuple[Speaker, int], Sample]:
    found = read_samples(store, RUN)
    assert found is not None
    return found.files


def every_file(store: MemoryStore) -> list[tuple[Speaker, int]]:
    return list(files_of(store))


def limits(
    seconds: float = 60.0, *, interrupted: bool = False, by_deadline: bool = False
) -> Limits:
    until = time.monotonic() + seconds
    return Limits(until, lambda: interrupted, lambda: None, by_deadline=by_deadline)


@pytest.mark.parametrize(
    ("by_deadline", "limit"),
    [(True, "the time before the deadline"), (False, "samples.seconds_a_check")],
)
def test_what_leaves_no_time_is_named(limit: str, *, by_deadline: bool) -> None:
    told = Told()
    mine = samples(MemoryStore(), told, Sentence("Hei."), Sentence("Moi."))
    mine.at_step(MODEL, STEP, limits(seconds=-1, by_deadline=by_deadline))
    assert mine.lost == 2
    assert told.lines[0].endswith(f"at step {STEP}, 2 of 2 sentences do not fit into {limit}")


def test_the_others_are_spoken() -> None:
    store, told = MemoryStore(), Told()
    endless = "Hyvää huomenta. " * 2000
    mine = samples(store, told, Sentence(endless), Sentence("Hei."), Sentence(endless))
    MODEL.train()
    mine.at_step(MODEL, STEP, limits())
    mine.outbox.close(10)
    assert MODEL.training
    found = read_samples(store, RUN)
    assert found is not None
    assert found.files == {(STEP, 2): Sample(1, STEP, 2, found.files[STEP, 2].size_bytes)}
    assert (mine.lost, len(told.lines)) == (2, 1)
    assert "training goes on: the text is too long" in told.lines[0]


def test_a_fault_of_any_kind_stays_here() -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    told = Told()
    mine = samples(MemoryStore(), told, Sentence("Hei."), show=broken)
    mine.at_step(MODEL, STEP, limits())
    assert mine.lost == 1
    assert "ZeroDivisionError" in told.lines[0]


def test_a_recording_that_is_not_of_this_codec_is_missing() -> None:
    store, told = MemoryStore(), Told()
    codes = np.zeros((9, 4), np.int64)
    mine = samples(store, told, Sentence("Hei.", codes))
    mine.speak_each(ORIGINAL, lambda number: mine.speaker.original(number, limits()))
    assert mine.lost == 1
    assert "codes of shape [9, 4]" in told.lines[0]


def test_an_interrupted_run_says_nothing_and_goes() -> None:
    store, told = MemoryStore(), Told()
    mine = samples(store, told, Sentence("Hei."), Sentence("Hei."))
    mine.at_step(MODEL, STEP, limits(interrupted=True))
    mine.outbox.close(10)
    assert (mine.lost, told.lines) == (0, [])
    assert len(store.list("")) == 1


@pytest.mark.parametrize("count", [1, 3])
def test_a_store_that_takes_nothing_is_named_once(count: int) -> None:
    told, store = Told(), Unreachable()
    outbox = Outbox(store, told.lines.append)
    for number in range(count):
        outbox.put(str(number), b"")
    outbox.close(10)
    assert outbox.lost == count
    assert told.lines == ["samples do not reach the store: nobody answers"]


def test_a_store_that_hangs_does_not_hold_up_the_end() -> None:
    class Hanging(MemoryStore):
        def put(self, key: str, source: bytes | Path) -> None:
            time.sleep(3)

    told = Told()
    outbox = Outbox(Hanging(), told.lines.append)
    outbox.put("a", b"")
    begun = time.monotonic()
    outbox.close(0.1)
    assert time.monotonic() - begun < 2
    assert outbox.lost == 1


def test_a_later_job_speaks_again_only_what_an_earlier_one_did_not() -> None:
    told, store = Told(), MemoryStore()
    model = add_adapter(BASE.load(torch.float32), BASE.targets, LoraConfig(), base_name="", seed=1)
    codes = np.zeros((4, 3), np.int64)
    first = samples(store, told, Sentence("Hei.", codes))
    first.begin(store, model, limits())
    first.outbox.close(10)
    assert {name for name, _ in every_file(store)} == {BASE_ALONE, ORIGINAL}
    again = samples(store, told, Sentence("Hei.", codes), claim=2)
    again.begin(store, model, limits(seconds=-1))
    assert again.lost == 0
    other = samples(store, told, Sentence("Moi.", codes), claim=3)
    other.begin(store, model, limits(seconds=-1))
    assert other.lost == 2


def test_a_later_job_speaks_the_sentences_that_an_earlier_one_left_when_it_was_killed() -> None:
    told, store = Told(), MemoryStore()
    model = add_adapter(BASE.load(torch.float32), BASE.targets, LoraConfig(), base_name="", seed=1)
    codes = np.zeros((4, 3), np.int64)
    both = (Sentence("Hei.", codes), Sentence("Moi.", codes))
    first = samples(store, told, *both)
    first.begin(store, model, limits())
    first.outbox.close(10)
    whole = {place: store.get(one.key(RUN), 10**6) for place, one in files_of(store).items()}
    assert len(whole) == 4
    for who in (BASE_ALONE, ORIGINAL):
        store.delete(Sample(1, who, 2).key(RUN))
    again = samples(store, told, *both, claim=2)
    again.begin(store, model, limits())
    again.outbox.close(10)
    found = files_of(store)
    assert {place: store.get(one.key(RUN), 10**6) for place, one in found.items()} == whole
    assert {number: one.claim for (_, number), one in found.items()} == {1: 1, 2: 2}


def test_compiled_layers_are_left_as_they_are() -> None:
    class Halves(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / 2

    calls: list[int] = []

    def backend(graph: torch.fx.GraphModule, _inputs: object) -> torch.fx.GraphModule:
        calls.append(1)
        return graph

    module = Halves()
    module.compile(backend=backend)
    with speaking(module, is_compiled=True):
        assert module(torch.ones(1)).item() == 0.5
        assert not module.training
    assert calls == []
    module(torch.ones(1))
    assert (calls, module.training) == ([1], True)
