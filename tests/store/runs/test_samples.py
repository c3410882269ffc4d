"""What a run has spoken, read from a store: input from outside."""

from __future__ import annotations

import pytest

from fintts_store.layout import samples_prefix
from fintts_store.runs.limits import SAMPLE_BYTES
from fintts_store.runs.samples import BASE, ORIGINAL, RECORD, Sample, SampleSet, read_samples
from memory_store import MemoryStore

RUN = "mine"


def begin(store: MemoryStore, claim: int, *texts: str) -> None:
    record = SampleSet(run=RUN, claim=claim, texts=texts, seed=0, max_seconds=15)
    store.put(samples_prefix(RUN, claim) + RECORD, record.dump().encode())


def put(store: MemoryStore, *samples: Sample, size_bytes: int = 3) -> None:
    for sample in samples:
        store.put(sample.key(RUN), b"x" * size_bytes)


def test_a_run_that_spoke_nothing_has_none() -> None:
    assert read_samples(MemoryStore(), RUN) is None


def test_a_key_says_who_spoke_which_sentence() -> None:
    store = MemoryStore()
    begin(store, 1, "yksi", "kaksi")
    given = [Sample(1, who, number) for who in (BASE, ORIGINAL, 100, 200) for number in (1, 2)]
    put(store, *given)
    found = read_samples(store, RUN)
    assert found is not None
    assert found.steps == [100, 200]
    assert {(one.speaker, one.number) for one in given} == set(found.files)
    assert {one.size_bytes for one in found.files.values()} == {3}


def test_a_later_job_replaces_what_it_speaks_again() -> None:
    store = MemoryStore()
    begin(store, 1, "yksi")
    begin(store, 2, "yksi")
    put(store, Sample(1, BASE, 1), Sample(1, 100, 1), Sample(2, 100, 1))
    found = read_samples(store, RUN)
    assert found is not None
    assert {place: one.claim for place, one in found.files.items()} == {(BASE, 1): 1, (100, 1): 2}


def test_samples_of_other_sentences_are_left_out() -> None:
    store = MemoryStore()
    begin(store, 1, "yksi")
    begin(store, 2, "kaksi")
    put(store, Sample(1, BASE, 1), Sample(1, 100, 1), Sample(2, BASE, 1))
    found = read_samples(store, RUN)
    assert found is not None
    assert found.sentences.texts == ("kaksi",)
    assert {place: one.claim for place, one in found.files.items()} == {(BASE, 1): 2}


@pytest.mark.parametrize(
    "name",
    ["base-1.wav", "base-01.wav.exe", "base-03.wav", "base-00.wav", "x/base-01.wav",
     "step-100-01.wav", "step-٠٠٠٠٠٠١٠٠-01.wav", "step--00000001-01.wav", "run.json"],
)  # fmt: skip
def test_a_foreign_file_is_ignored(name: str) -> None:
    store = MemoryStore()
    begin(store, 1, "yksi", "kaksi")
    store.put(samples_prefix(RUN, 1) + name, b"x")
    found = read_samples(store, RUN)
    assert found is not None
    assert not found.files


def test_a_file_that_is_too_large_and_a_damaged_record_are_ignored() -> None:
    store = MemoryStore()
    begin(store, 1, "yksi")
    put(store, Sample(1, BASE, 1), size_bytes=SAMPLE_BYTES + 1)
    store.put(samples_prefix(RUN, 2) + RECORD, b"{")
    found = read_samples(store, RUN)
    assert found is not None
    assert (found.sentences.claim, found.files) == (1, {})
