"""10,000 old manifests: what is asked of a store does not grow with them where it need not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from fault_proxy import FaultProxy, fault_proxy
from fintts_store import layout
from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.listing import list_commits
from fintts_store.checkpoints.manifest import Manifest, ManifestFile
from fintts_store.checkpoints.restore import restore_newest
from fintts_store.runs.claims import take_claim
from memory_store import CountingStore
from run_samples import DIGEST, START
from s3_servers import make_bucket

RUN, OLD = "old", 10_000
A_PAGE = 1000
"""keys in an answer of S3"""


def manifest(step: int) -> Manifest:
    return Manifest(
        run=RUN,
        claim=1,
        step=step,
        id=f"{step:08x}",
        created_at=START,
        config_digest="c",
        base_model_digest=DIGEST,
        monitor="val/loss",
        mode="min",
        value=5.0,
        files=(ManifestFile(name="adapter_model.safetensors", size_bytes=1, sha256="0" * 64),),
    )


def checkpoint(folder: Path, step: int) -> tuple[Path, CheckpointFacts]:
    local = folder / str(step)
    local.mkdir()
    (local / "adapter_model.safetensors").write_bytes(b"newest")
    return local, CheckpointFacts(step, "c", DIGEST, "val/loss", "min", 4.0)


@pytest.fixture(scope="module")
def address(moto_endpoint: str) -> S3Address:
    """A bucket in which they lie; put there beside the server, which is in this process."""
    address = make_bucket(moto_endpoint, "ten-thousand")
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for step in range(1, OLD + 1):
        one = manifest(step)
        key = address.prefix + layout.commit_key(RUN, one.name)
        backend.put_object(address.bucket, key, one.dump().encode())
    return address


@pytest.fixture
def proxy(moto_endpoint: str) -> Iterator[FaultProxy]:
    with fault_proxy(moto_endpoint) as proxy:
        yield proxy


def test_the_newest_is_found_by_listing_alone(
    address: S3Address, proxy: FaultProxy, tmp_path: Path
) -> None:
    direct = S3Store(address)
    claim = take_claim(direct, RUN, "me")
    committer = Committer(direct, RUN, claim, keep_last=5, keep_best=True)
    newest = committer.commit(*checkpoint(tmp_path, OLD + 1))
    store = S3Store(replace(address, endpoint_url=proxy.url))
    found = restore_newest(store, RUN, tmp_path / "back", lambda name, error: None)
    assert found == newest
    listings = [one for one in proxy.requests if "list-type=2" in one]
    assert len(listings) == OLD // A_PAGE + 2, "the pages of commits, and one of claims"
    assert len(proxy.requests) - len(listings) == 2, "the manifest and its file"
    proxy.requests.clear()
    committer = Committer(store, RUN, claim, keep_last=5, keep_best=True)
    committer.commit(*checkpoint(tmp_path, OLD + 2))
    assert len(proxy.requests) == 4, "a save asks for as much as in an empty bucket"


def test_rotation_reads_each_once_and_then_the_new_ones_alone(tmp_path: Path) -> None:
    store = CountingStore()
    for step in range(1, OLD + 1):
        one = manifest(step)
        store.put(layout.commit_key(RUN, one.name), one.dump().encode())
    claim = take_claim(store, RUN, "me")
    committer = Committer(store, RUN, claim, keep_last=5, keep_best=True)
    committer.commit(*checkpoint(tmp_path, OLD + 1))
    store.reads = 0
    removed = OLD - 4
    assert len(committer.rotate()) == removed
    assert store.reads == (OLD + 1) + removed, "each manifest, and each pin that is not there"
    left = list_commits(store, RUN)
    assert [name.step for name in left] == list(range(OLD - 3, OLD + 2))
    store.reads = 0
    committer.commit(*checkpoint(tmp_path, OLD + 2))
    assert len(committer.rotate()) == 1
    assert store.reads == 2
