"""A server whose conditional write is not exclusive, as it is: OpenStack's Swift with `s3api`."""

from __future__ import annotations

from pathlib import Path

import pytest

from fintts_store.backends.s3.s3 import S3Store
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.restore import restore
from fintts_store.errors import KeyExists, StoreUnsound
from fintts_store.layout import PROBES
from fintts_store.probes.probes import Verdict, probe_store
from fintts_store.probes.promise import OPTION, read_promise, require_promise
from fintts_store.runs.claims import take_claim
from s3_servers import make_bucket

RUN = "mine"


@pytest.fixture(scope="module")
def store(swift_endpoint: str) -> S3Store:
    return S3Store(make_bucket(swift_endpoint))


def test_it_is_refused_before_a_run_goes_there(store: S3Store) -> None:
    with pytest.raises(StoreUnsound, match="cannot tell two writers apart") as refused:
        require_promise(store, single_writer=False)
    assert OPTION in refused.value.hint
    found = read_promise(store)
    assert found is not None
    assert not found.is_exclusive
    assert store.list(PROBES) == []


def test_a_check_of_it_says_what_fails_and_goes_on(store: S3Store) -> None:
    answers = {one.name: one.finding for one in probe_store(store)}
    assert answers["conditional write"].verdict is Verdict.FAILED
    assert "writers won a race" in answers["conditional write"].sentence
    assert answers["lifecycle rule"].verdict is Verdict.WARNING
    others = {name: one for name, one in answers.items() if one.verdict is not Verdict.OK}
    assert set(others) <= {"conditional write", "lifecycle rule"}


def test_who_is_alone_trains_into_it(store: S3Store, tmp_path: Path) -> None:
    require_promise(store, single_writer=True)
    claim = take_claim(store, RUN, "me")
    with pytest.raises(KeyExists):
        store.create(f"runs/{RUN}/claims/{claim:06d}", b"another")
    committer = Committer(store, RUN, claim, keep_last=1, keep_best=False)
    for step in (1, 2):
        saved = tmp_path / f"saved-{step}"
        saved.mkdir()
        (saved / "adapter_model.safetensors").write_bytes(bytes([step]) * 2**20)
        committer.commit(saved, CheckpointFacts(step, "c", "b", "val/loss", "min", 1.0))
        committer.rotate()
    (left,) = list_manifests(store, RUN)
    assert left.step == 2
    restore(store, left, tmp_path / "restored")
    restored = tmp_path / "restored/adapter_model.safetensors"
    assert restored.read_bytes() == b"\2" * 2**20
    assert {entry.key.split("/")[2] for entry in store.list(f"runs/{RUN}/")} == {
        *("checkpoints", "claims", "commits"),
    }
