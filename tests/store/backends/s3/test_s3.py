"""S3 as it is on a bad day: every fault is either outlived or one clear sentence."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import boto3
import pytest

from fault_proxy import Fault, FaultProxy, fault_proxy
from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.addresses.parse import parse_address
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.backends.s3.transfer.parts import PARTS
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.orphans import clean_up_orphans
from fintts_store.checkpoints.restore import partial_name, restore
from fintts_store.errors import (
    CheckpointCorrupt,
    KeyExists,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnreachable,
)
from fintts_store.network.patience import PATIENT, Patience
from fintts_store.opening import at_endpoint, open_store
from fintts_store.runs.claims import take_claim
from s3_servers import QUICK, SMALL, make_bucket

RUN = "mine"
MB = 1024 * 1024


@dataclass
class Rig:
    """A store behind a proxy, and the same one without."""

    proxy: FaultProxy
    store: S3Store
    direct: S3Store

    def fault(self, *args: object, **kwargs: object) -> None:
        self.proxy.faults.append(Fault(*args, **kwargs))  # type: ignore[arg-type]


@pytest.fixture
def rig(moto_endpoint: str) -> Iterator[Rig]:
    address = make_bucket(moto_endpoint, f"b{secrets.token_hex(8)}")
    with fault_proxy(moto_endpoint) as proxy:
        through = replace(address, endpoint_url=proxy.url)
        yield Rig(proxy, S3Store(through, QUICK, parts=SMALL), S3Store(address))


def checkpoint(folder: Path) -> tuple[Path, CheckpointFacts]:
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(secrets.token_bytes(300_000))
    (folder / "optimizer.safetensors").write_bytes(secrets.token_bytes(200_000))
    return folder, CheckpointFacts(100, "c", "b", "val/loss", "min", 4.5)


def committer(store: S3Store) -> Committer:
    return Committer(store, RUN, take_claim(store, RUN, "me"), keep_last=2, keep_best=True)


# --- addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket",
        "s3://my.bucket-1/a/b",
        "s3://bucket/a?endpoint_url=http%3A%2F%2F127.0.0.1%3A9000",
        "s3://bucket/a?endpoint_url=https%3A%2F%2Fr2.example&addressing=virtual&region=auto",
    ],
)
def test_an_address_is_the_same_there_and_back(text: str) -> None:
    assert parse_address(text).url == text
    assert open_store(text).url == text


def test_an_endpoint_becomes_part_of_the_address() -> None:
    url = at_endpoint("s3://bucket/a/", "http://localhost:9000")
    assert url == "s3://bucket/a?endpoint_url=http%3A%2F%2Flocalhost%3A9000"
    assert parse_address(url).addressing == "path"
    assert at_endpoint("/some/folder", "http://localhost:9000") == "/some/folder"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3://", "names no bucket"),
        ("s3://Big_Bucket/a", "names no bucket: Big_Bucket has upper-case letters"),
        ("s3://b/e", "names no bucket: b is not a valid bucket name: 3 to 63"),
        (
            "s3://big_bucket/a",
            "names no bucket: big_bucket is not a valid bucket name.*a-z, 0-9, '-' and",
        ),
        (
            "s3://-a-",
            "names no bucket: -a- is not a valid bucket name.* a letter or a digit at both ends",
        ),
        (
            f"s3://{'a' * 64}",
            "names no bucket: a{64} is not a valid bucket name.* 3 to 63 characters",
        ),
        ("s3://bucket/a/../b", "has an empty part"),
        ("s3://bucket/a//b", "has an empty part"),
        ("s3://bucket?colour=red", "^unknown option colour in s3://bucket"),
        ("s3://bucket?addressing=sideways", "sets addressing to sideways"),
        ("s3://bucket?endpoint_url=localhost:9000", "is not the URL"),
        ("s3://bucket?endpoint_url=https://me:hidden@host", "contains credentials"),
        ("s3://bucket?endpoint_url=https%3A%2F%2Fme%3Ahidden%40host", "contains credentials"),
        ("s3://me:hidden@bucket/a", "contains credentials"),
    ],
)
def test_what_is_no_address_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(StoreDenied, match=said) as caught:
        open_store(text)
    assert caught.value.hint
    assert "hidden" not in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "s3:/bucket",
        "s3:bucket/a",
        "S3://bucket",
        "gs://bucket",
        "http:/x",
        "s3:///a",
        "s3//bucket/a",
    ],
)
def test_an_address_of_another_kind_is_no_folder(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError) as caught:
        open_store(at_endpoint(text, None)).put("a", b"x")
    assert "s3://BUCKET/PREFIX" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_folder_may_have_a_colon_in_its_name(tmp_path: Path) -> None:
    for name in ("C:", "a/b:c", "./s3:", "/x/s3:/y"):
        assert open_store(name).url


# --- what the server says -----------------------------------------------------------------------


MAY_BE_DAMAGE = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket")


@pytest.mark.parametrize(
    ("status", "code", "kind", "said"),
    [
        (403, "AccessDenied", StoreDenied, "refuses PutObject"),
        (403, "InvalidAccessKeyId", StoreDenied, "does not know the access key"),
        (403, "SignatureDoesNotMatch", StoreDenied, "does not accept the secret key"),
        (400, "ExpiredToken", StoreDenied, "have expired"),
        (403, "RequestTimeTooSkewed", StoreDenied, "the clock of this machine"),
        (400, "AuthorizationHeaderMalformed", StoreDenied, "is in another region"),
        (404, "NoSuchBucket", StoreDenied, "does not exist"),
        (507, "XMinioStorageFull", StoreFull, "is full: PutObject was answered with 507"),
        (503, "SlowDown", StoreUnreachable, "answered PutObject with 503 SlowDown"),
        (500, "InternalError", StoreUnreachable, "answered PutObject with 500"),
    ],
)
def test_an_error_is_one_sentence_with_its_mend(
    rig: Rig, status: int, code: str, kind: type[StoreError], said: str
) -> None:
    rig.fault("answer", "PUT", "/a", times=100, status=status, code=code)
    with pytest.raises(kind, match=said) as caught:
        rig.store.put("a", b"x")
    assert caught.value.hint
    tries = len([one for one in rig.proxy.requests if one.startswith("PUT")])
    expected = PATIENT.tries if kind is StoreUnreachable else 2 if code in MAY_BE_DAMAGE else 1
    assert tries == expected, "only what may pass is tried again"


def test_a_bucket_that_is_not_there(moto_endpoint: str) -> None:
    store = S3Store(S3Address("nowhere-to-be-found", endpoint_url=moto_endpoint, addressing="path"))
    for attempt in (lambda: store.put("a", b"x"), lambda: store.list(""), lambda: store.get("a")):
        with pytest.raises(StoreDenied, match="the bucket s3://nowhere-to-be-found at "):
            attempt()


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch, moto_endpoint: str) -> None:
    store = S3Store(S3Address("bucket", endpoint_url="http://127.0.0.1:9", addressing="path"))
    with pytest.raises(StoreUnreachable, match="cannot be reached"):
        store.get("a")


def test_a_server_that_says_nothing_is_what_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, moto_endpoint: str
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        quick = Patience(tries=1, connect_seconds=1, silent_seconds=0.1, total_seconds=1)
        store = S3Store(S3Address("bucket", endpoint_url=url, addressing="path"), quick)
        with pytest.raises(StoreUnreachable, match=r"s3://bucket at .* cannot be reached"):
            store.put("a", tmp_path / "file")


def test_no_credentials_are_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = S3Store(S3Address("bucket", endpoint_url="http://127.0.0.1:9", addressing="path"))
    with pytest.raises(StoreDenied, match="there are no credentials") as caught:
        store.put("a", b"x")
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint


# --- what goes wrong on the way -----------------------------------------------------------------


def test_two_answers_503_are_outlived(rig: Rig) -> None:
    rig.fault("answer", "PUT", "/a", times=2)
    rig.store.put("a", b"x")
    assert rig.direct.get("a") == b"x"


@pytest.mark.parametrize("kind", ["cut", "reset"])
def test_a_body_that_breaks_off_is_taken_up_where_it_broke(rig: Rig, kind: str) -> None:
    data = secrets.token_bytes(3 * MB)
    rig.direct.put("a", data)
    rig.fault(kind, "GET", "/a", times=2)
    assert rig.store.get("a", len(data)) == data


def test_an_object_that_is_replaced_while_it_is_read_is_no_mixture(rig: Rig) -> None:
    rig.direct.put("a", b"1" * 3 * MB)
    rig.fault("cut", "GET", "/a")
    chunks = rig.store.stream("a")
    assert next(chunks)[:1] == b"1"
    rig.direct.put("a", b"2" * 3 * MB)
    with pytest.raises(StoreUnreachable, match="was replaced"):
        list(chunks)


def test_an_empty_object_is_read_with_one_request(rig: Rig) -> None:
    rig.direct.put("a", b"")
    assert rig.store.get("a") == b""
    assert len(rig.proxy.requests) == 1


def test_an_object_that_is_shorter_than_what_has_come_is_damaged(rig: Rig, tmp_path: Path) -> None:
    folder, facts = checkpoint(tmp_path / "one")
    manifest = committer(rig.direct).commit(folder, facts)
    partial = tmp_path / partial_name(manifest.name)
    partial.mkdir()
    (partial / "adapter_model.safetensors").write_bytes(
        (folder / "adapter_model.safetensors").read_bytes()[:1000]
    )
    [key] = [
        entry.key
        for entry in rig.direct.list("")
        if entry.key.endswith("/adapter_model.safetensors")
    ]
    rig.direct.put(key, b"short")
    said = r"adapter_model\.safetensors of step 100 has 5 bytes"
    with pytest.raises(CheckpointCorrupt, match=said):
        restore(rig.store, manifest, tmp_path / "back")


def large_object(rig: Rig) -> bytes:
    """Three parts and a bit."""
    data = secrets.token_bytes(3 * PARTS.part_bytes + 1000)
    rig.direct.put("a", data)
    return data


def test_a_large_object_is_read_in_parts_whose_order_holds(rig: Rig) -> None:
    data = large_object(rig)
    assert rig.store.get("a", len(data)) == data
    assert len([one for one in rig.proxy.requests if one.startswith("GET")]) == 4
    for start in (1, PARTS.part_bytes, 2 * PARTS.part_bytes + 5, len(data) - 1):
        assert b"".join(rig.store.stream("a", start)) == data[start:]


@pytest.mark.parametrize("kind", ["cut", "reset"])
def test_parts_that_break_off_are_taken_up_where_they_broke(rig: Rig, kind: str) -> None:
    data = large_object(rig)
    rig.fault(kind, "GET", "/a", times=5)
    assert rig.store.get("a", len(data)) == data


def test_a_part_that_cannot_be_read_ends_the_reading(rig: Rig) -> None:
    large_object(rig)
    rig.store.put("b", b"x")
    chunks = rig.store.stream("a")
    assert next(chunks)
    rig.fault("answer", "GET", "/a", times=1000, status=403, code="AccessDenied")
    with pytest.raises(StoreDenied):
        list(chunks)
    assert rig.store.get("b") == b"x"


def test_a_large_object_that_is_replaced_while_it_is_read_is_no_mixture(rig: Rig) -> None:
    size = len(large_object(rig))
    chunks = rig.store.stream("a")
    came = [next(chunks)]
    rig.direct.put("a", bytes(size))
    with pytest.raises(StoreUnreachable, match="was replaced"):
        came += chunks
    assert not any(not any(chunk) for chunk in came), "nothing of the new one"


def test_a_conflict_is_asked_again(rig: Rig) -> None:
    rig.fault("answer", "PUT", "/a", times=2, status=409, code="ConditionalRequestConflict")
    rig.store.create("a", b"x")
    assert rig.direct.get("a") == b"x"
    with pytest.raises(KeyExists):
        rig.store.create("a", b"y")


def test_a_large_file_goes_in_parts_and_leaves_none_behind(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(secrets.token_bytes(12 * MB))
    rig.store.put("large", path)
    assert rig.direct.get("large", 12 * MB) == path.read_bytes()
    assert len([one for one in rig.proxy.requests if "partNumber" in one]) == 3
    rig.fault("answer", "PUT", "partNumber=2", times=100, status=403, code="AccessDenied")
    with pytest.raises(StoreDenied):
        rig.store.put("another", path)
    assert "DELETE" in rig.proxy.requests[-1], "the upload was aborted"


def test_what_a_killed_upload_left_is_discarded(rig: Rig, moto_endpoint: str) -> None:
    client = boto3.client("s3", endpoint_url=moto_endpoint)
    address = parse_address(rig.direct.url)
    for key in ("runs/a/x", "runs/b/x"):
        client.create_multipart_upload(Bucket=address.bucket, Key=address.prefix + key)
    rig.store.discard_unfinished("runs/a/")
    left = client.list_multipart_uploads(Bucket=address.bucket)["Uploads"]
    assert [upload["Key"] for upload in left] == [address.prefix + "runs/b/x"]


def test_a_killed_instance_s_first_upload_is_discarded_and_a_newer_one_s_is_not(
    rig: Rig, moto_endpoint: str
) -> None:
    """There is no object yet, and so no folder, in which anybody could look for it."""
    client = boto3.client("s3", endpoint_url=moto_endpoint)
    address = parse_address(rig.direct.url)
    keys = [
        f"runs/{RUN}/checkpoints/{claim}-000000100-0123abcd/adapter"
        for claim in ("000001", "000003")
    ]
    for key in [*keys, f"runs/{RUN}/checkpoints/notes/mine"]:
        client.create_multipart_upload(Bucket=address.bucket, Key=address.prefix + key)
    clean_up_orphans(rig.store, RUN, claim=2)
    left = client.list_multipart_uploads(Bucket=address.bucket)["Uploads"]
    assert {upload["Key"].removeprefix(address.prefix) for upload in left} == {
        keys[1],
        f"runs/{RUN}/checkpoints/notes/mine",
    }


# --- the protocol over it -----------------------------------------------------------------------


def test_a_commit_whose_reply_is_lost_is_committed_once(rig: Rig, tmp_path: Path) -> None:
    commit = committer(rig.store)
    rig.fault("lose reply", "PUT", "/commits/")
    manifest = commit.commit(*checkpoint(tmp_path / "one"))
    assert list_manifests(rig.direct, RUN) == [manifest]


def test_a_conflict_at_the_commit_is_asked_again(rig: Rig, tmp_path: Path) -> None:
    commit = committer(rig.store)
    rig.fault("answer", "PUT", "/commits/", status=409, code="ConditionalRequestConflict")
    manifest = commit.commit(*checkpoint(tmp_path / "one"))
    assert list_manifests(rig.direct, RUN) == [manifest]


def test_a_flipped_bit_on_the_way_down_is_fetched_again(rig: Rig, tmp_path: Path) -> None:
    folder, facts = checkpoint(tmp_path / "one")
    manifest = committer(rig.direct).commit(folder, facts)
    rig.fault("flip", "GET", "/optimizer.safetensors")
    came: list[int] = []
    restore(rig.store, manifest, tmp_path / "back", came.append)
    assert sum(came) == manifest.size_bytes < sum(size for size in came if size > 0)
    for path in folder.iterdir():
        assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes()
    rig.fault("flip", "GET", "/optimizer.safetensors", times=100)
    with pytest.raises(CheckpointCorrupt):
        restore(rig.store, manifest, tmp_path / "never")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "one"]


def test_nothing_is_committed_that_did_not_arrive(rig: Rig, tmp_path: Path) -> None:
    commit = committer(rig.store)
    rig.fault("answer", "PUT", "/optimizer.safetensors", times=100, status=403, code="AccessDenied")
    with pytest.raises(StoreDenied):
        commit.commit(*checkpoint(tmp_path / "one"))
    assert list_manifests(rig.direct, RUN) == []


def test_a_save_takes_few_requests(rig: Rig, tmp_path: Path) -> None:
    commit = committer(rig.store)
    folder, facts = checkpoint(tmp_path / "one")
    for name in ("adapter_config.json", "trainer_state.json"):
        (folder / name).write_bytes(b"x")
    rig.proxy.requests.clear()
    commit.commit(folder, facts)
    methods = [one.split()[0] for one in rig.proxy.requests]
    assert methods.count("PUT") == 5, "four files and the manifest"
    assert methods.count("GET") == 2, "sizes, and the highest claim"
    assert len(methods) == 7
    for step in (200, 300, 400):
        rig.proxy.requests.clear()
        commit.commit(folder, replace(facts, step=step))
        commit.rotate()
        read = [one for one in rig.proxy.requests if one.startswith("GET") and ".json" in one]
        assert len(read) <= 2, "a manifest is read once"
