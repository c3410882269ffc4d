"""The key of an instance is tried before one is rented: as itself, and for all that a run needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from as_aws import write_rules
from fault_proxy import FaultProxy, fault_proxy
from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.credentials.trial import try_key
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.errors import StoreDenied
from s3_as_it_is import ClosedToAnotherKey
from s3_servers import make_bucket

ENCODED = "encoded/88bb/"
READS = ["datasets/00ff.safetensors", "base_models/77aa/", ENCODED]
ANOTHER = {
    "AWS_ACCESS_KEY_ID": "another",
    "AWS_SECRET_ACCESS_KEY": "made-for-a-run",
    "AWS_SESSION_TOKEN": "and-its-token",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture
def proxy(
    moto_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[FaultProxy]:
    """AWS, with what a run reads in it."""
    make_bucket(moto_endpoint, "tried")
    with fault_proxy(moto_endpoint) as proxy:
        monkeypatch.setenv("AWS_DATA_PATH", str(write_rules(tmp_path / "rules", proxy.url)))
        store = S3Store(S3Address("tried", "teams/"))
        store.put("datasets/00ff.safetensors", b"data")
        store.put("base_models/77aa/config.json", b"{}")
        store.put(f"{ENCODED}codes", b"of another run")
        store.put("base_models/77aa/model.pth", b"weights")
        yield proxy


def attempt() -> None:
    try_key(S3Address("tried", "teams/"), "mine", READS, ANOTHER, [ENCODED])


def left() -> list[str]:
    """What the trial wrote and did not remove."""
    store = S3Store(S3Address("tried", "teams/"))
    entries = [*store.list("runs/"), *store.list(ENCODED)]
    return [entry.key for entry in entries if entry.key != f"{ENCODED}codes"]


def test_a_key_that_does_leaves_nothing_behind(proxy: FaultProxy) -> None:
    attempt()
    assert any("77aa/model.pth" in request for request in proxy.requests)
    assert left() == []


@pytest.mark.parametrize(
    ("closed", "said", "hint"),
    [
        (
            ClosedToAnotherKey("PUT", "/runs/mine/", "kms:GenerateDataKey"),
            "no session policy allows the kms:GenerateDataKey action",
            r"add it to the address: s3://tried/teams\?sse=aws%3Akms",
        ),
        (
            ClosedToAnotherKey("GET", "/runs/mine/trial", "kms:Decrypt"),
            "allows the kms:Decrypt action",
            "allow your key kms:GenerateDataKey and kms:Decrypt",
        ),
        (
            ClosedToAnotherKey("GET", "77aa/model.pth", "kms:Decrypt"),
            "allows the kms:Decrypt action",
            "allow your key kms:GenerateDataKey and kms:Decrypt",
        ),
        (
            ClosedToAnotherKey("GET", "00ff", "s3:GetObject"),
            "allows the s3:GetObject action",
            "s3:GetObject",
        ),
        (
            ClosedToAnotherKey("PUT", "/88bb/", "s3:PutObject"),
            "allows the s3:PutObject action",
            "PutObject",
        ),
        (
            ClosedToAnotherKey("GET", "88bb/codes", "s3:GetObject"),
            "allows the s3:GetObject action",
            "s3:GetObject",
        ),
        (
            ClosedToAnotherKey("GET", "uploads", "s3:ListBucketMultipartUploads"),
            "allows the s3:ListBucketMultipartUploads action",
            "ListBucketMultipartUploads",
        ),
    ],
)
def test_what_another_key_may_not_do_is_said_before_an_instance_finds_it_out(
    proxy: FaultProxy, closed: ClosedToAnotherKey, said: str, hint: str
) -> None:
    proxy.server = closed
    with pytest.raises(StoreDenied, match=r"^the instance's key is not sufficient") as caught:
        attempt()
    assert said in caught.value.message
    assert "tried" in caught.value.message
    assert re.search(hint, caught.value.hint)
    assert left() == []
