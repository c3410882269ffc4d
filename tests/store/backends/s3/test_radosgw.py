"""What only a real server checks: secrets, clocks, permissions, certificates, races."""

from __future__ import annotations

import datetime
import json
import secrets
from pathlib import Path

import boto3
import botocore.auth
import pytest

from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.checkpoints.uploader import Uploader
from fintts_store.errors import StoreDenied, StoreError
from fintts_store.runs.claims import take_claim
from radosgw import Radosgw
from s3_servers import make_bucket

RUN = "mine"


@pytest.fixture
def address(gateway: Radosgw) -> S3Address:
    return make_bucket(gateway.url, f"b{secrets.token_hex(8)}")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "does not accept the secret key"),
        ("AWS_ACCESS_KEY_ID", "nobody", "does not know the access key"),
    ],
)
def test_wrong_credentials(
    address: S3Address, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(StoreDenied, match=said):
        S3Store(address).put("a", b"x")


def test_a_clock_that_is_wrong(address: S3Address, monkeypatch: pytest.MonkeyPatch) -> None:
    right = vars(botocore.auth)["get_current_datetime"]

    def ahead(*args: object, **kwargs: object) -> datetime.datetime:
        now: datetime.datetime = right(*args, **kwargs)
        return now + datetime.timedelta(hours=1)

    monkeypatch.setattr(botocore.auth, "get_current_datetime", ahead)
    with pytest.raises(StoreDenied, match="the clock of this machine"):
        S3Store(address).put("a", b"x")


def test_a_certificate_of_an_unknown_authority(
    gateway: Radosgw, address: S3Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    store = S3Store(S3Address(address.bucket, endpoint_url=gateway.tls_url, addressing="path"))
    with pytest.raises(StoreDenied, match="is not trusted") as caught:
        store.put("a", b"x")
    assert "AWS_CA_BUNDLE" in caught.value.hint


def forbid(address: S3Address, action: str) -> None:
    statement = {
        "Effect": "Deny",
        "Principal": {"AWS": ["*"]},
        "Action": [action],
        "Resource": [f"arn:aws:s3:::{address.bucket}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client = boto3.client("s3", endpoint_url=address.endpoint_url)
    client.put_bucket_policy(Bucket=address.bucket, Policy=policy)


def checkpoint(folder: Path, step: int) -> tuple[Path, CheckpointFacts]:
    target = folder / f"checkpoint-{step}"
    target.mkdir()
    (target / "adapter_model.safetensors").write_bytes(secrets.token_bytes(10_000))
    return target, CheckpointFacts(step, "c", "b", "val/loss", "min", 100.0 - step)


def test_without_permission_to_delete_training_goes_on_and_all_checkpoints_stay(
    address: S3Address, tmp_path: Path
) -> None:
    store = S3Store(address)
    committer = Committer(store, RUN, take_claim(store, RUN, "me"), keep_last=1, keep_best=False)
    forbid(address, "s3:DeleteObject")
    committed: list[Manifest] = []
    told: list[StoreError] = []
    uploader = Uploader(committer, lambda: None, committed.append, told.append)
    for step in (1, 2, 3):
        uploader.submit(*checkpoint(tmp_path, step), must_stop_waiting=lambda: False)
        assert uploader.drain(30)
    uploader.close()
    assert [manifest.step for manifest in list_manifests(store, RUN)] == [1, 2, 3]
    assert [manifest.step for manifest in committed] == [1, 2, 3]
    assert [error.message for error in told] == [
        f"old checkpoints stay in the store: {address.where} refuses DeleteObject"
    ]


def test_without_permission_to_write_nothing_is_committed(
    address: S3Address, tmp_path: Path
) -> None:
    store = S3Store(address)
    committer = Committer(store, RUN, take_claim(store, RUN, "me"), keep_last=1, keep_best=False)
    forbid(address, "s3:PutObject")
    with pytest.raises(StoreDenied, match="refuses PutObject"):
        committer.commit(*checkpoint(tmp_path, 1))
    assert list_manifests(store, RUN) == []
