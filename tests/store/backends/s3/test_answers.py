"""An answer that is not S3's is not the truth about the store, whatever was asked."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import boto3
import pytest

from checks import every
from fault_proxy import Fault, FaultProxy, Kind, fault_proxy
from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.http import limits as s3_limits
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.errors import (
    KeyNotFound,
    PermissionMissing,
    StoreDenied,
    StoreError,
    StoreUnreachable,
)
from fintts_store.network.patience import IMPATIENT, PATIENT, Patience
from fintts_store.runs import limits
from fintts_store.store import Entry
from s3_servers import QUICK, SMALL, make_bucket

MB = 1024 * 1024
ALWAYS = 1000
HURRIED = Patience(tries=2, connect_seconds=2, silent_seconds=1, total_seconds=1)


@dataclass
class Rig:
    proxy: FaultProxy
    address: S3Address
    store: S3Store
    direct: S3Store
    large: Path

    def through(self, patience: Patience) -> S3Store:
        hurried = replace(patience, first_pause_seconds=QUICK.first_pause_seconds)
        return S3Store(replace(self.address, endpoint_url=self.proxy.url), hurried, parts=SMALL)

    def start_again(self) -> None:
        """Nothing goes wrong, and nothing lies there but a key."""
        self.proxy.faults.clear()
        self.direct.discard_unfinished("")
        for entry in self.direct.list(""):
            self.direct.delete(entry.key)
        self.direct.put("a/b", b"content")

    def begin_upload(self) -> None:
        """One that was cut off."""
        client = boto3.client("s3", endpoint_url=self.address.endpoint_url)
        client.create_multipart_upload(
            Bucket=self.address.bucket, Key=self.address.prefix + "cut/off"
        )


@pytest.fixture
def rig(moto_endpoint: str, tmp_path: Path) -> Iterator[Rig]:
    large = tmp_path / "large"
    large.write_bytes(secrets.token_bytes(6 * MB))
    address = make_bucket(moto_endpoint, f"b{secrets.token_hex(8)}")
    with fault_proxy(moto_endpoint) as proxy:
        direct = S3Store(address)
        direct.put("a/b", b"content")
        through = S3Store(replace(address, endpoint_url=proxy.url), QUICK, parts=SMALL)
        yield Rig(proxy, address, through, direct, large)


@dataclass(frozen=True)
class Call:
    """One kind of request: how it looks on the wire, how it is made, and what it comes to."""

    method: str
    part: str
    make: Callable[[Rig, S3Store], object]
    right: Callable[[Rig, object], bool]


def discard(rig: Rig, store: S3Store) -> None:
    rig.begin_upload()
    store.discard_unfinished("cut/")


def find_unfinished(rig: Rig, store: S3Store) -> list[str]:
    rig.begin_upload()
    return store.unfinished("cut/")


def arrived(rig: Rig, _answer: object) -> bool:
    return rig.direct.get("new", 7 * MB) == rig.large.read_bytes()


CALLS = {
    "list": Call(
        *("GET", "list-type=2", lambda _, store: store.list("a/")),
        lambda _, answer: answer == [Entry("a/b", 7)],
    ),
    "folders": Call(
        *("GET", "list-type=2", lambda _, store: store.folders("")),
        lambda _, answer: answer == ["a"],
    ),
    "unfinished": Call(
        *("GET", "uploads", find_unfinished), lambda _, answer: answer == ["cut/off"]
    ),
    "get": Call(
        *("GET", "/a/b", lambda _, store: store.get("a/b")),
        lambda _, answer: answer == b"content",
    ),
    "put": Call(
        *("PUT", "/new", lambda _, store: store.put("new", b"x")),
        lambda rig, _: rig.direct.get("new") == b"x",
    ),
    "create": Call(
        *("PUT", "/new", lambda _, store: store.create("new", b"x")),
        lambda rig, _: rig.direct.get("new") == b"x",
    ),
    "delete": Call(
        *("DELETE", "/a/b", lambda _, store: store.delete("a/b")),
        lambda rig, _: rig.direct.list("") == [],
    ),
    "begin an upload": Call(
        *("POST", "?uploads", lambda rig, store: store.put("new", rig.large)), arrived
    ),
    "send a part": Call(
        *("PUT", "partNumber=2", lambda rig, store: store.put("new", rig.large)), arrived
    ),
    "complete an upload": Call(
        *("POST", "uploadId=", lambda rig, store: store.put("new", rig.large)), arrived
    ),
    "abort an upload": Call(
        *("DELETE", "uploadId=", discard), lambda rig, _: rig.direct.unfinished("") == []
    ),
}
ANSWERED_WITH_A_DOCUMENT = ("list", "folders", "unfinished", "begin an upload")
HAVE_MARKS = {
    "list": ("KeyCount", "Name", "IsTruncated", "Key", "Size"),
    "folders": ("KeyCount", "Name", "IsTruncated", "Prefix"),
    "unfinished": ("Bucket", "Key", "UploadId"),
    "get": ("ETag", "Content-Range"),
    "put": ("ETag",),
    "begin an upload": ("UploadId",),
    "send a part": ("ETag",),
}
NO_ANSWERS = {
    "a page of HTML": Fault("page", "", "", status=200),
    "a page that is not found": Fault("page", "", "", status=404),
    "an odd status": Fault("empty", "", "", status=202),
    "nothing": Fault("empty", "", "", status=200),
    "a redirect": Fault("redirect", "", "", status=302),
    "another redirect": Fault("redirect", "", "", status=301),
    "a third redirect": Fault("redirect", "", "", status=307),
    "not modified": Fault("empty", "", "", status=304),
    "a gateway's error": Fault("page", "", "", status=502),
    "damage on the way": Fault("answer", "", "", status=400, code="XAmzContentSHA256Mismatch"),
    "another damage": Fault("answer", "", "", status=400, code="BadDigest"),
    "half a body": Fault("answer", "", "", status=400, code="IncompleteBody"),
    "a hang-up": Fault("reset", "", ""),
}


def go_wrong(rig: Rig, call: Call, fault: Fault, times: int) -> None:
    wrong = replace(fault, method=call.method, part=call.part, times=times)
    rig.proxy.faults.append(wrong)


@pytest.mark.parametrize("name", CALLS)
def test_what_is_no_answer_is_asked_for_again(rig: Rig, name: str) -> None:
    call = CALLS[name]
    for what, fault in NO_ANSWERS.items():
        rig.start_again()
        go_wrong(rig, call, fault, times=1)
        assert call.right(rig, call.make(rig, rig.store)), what
        assert every(one.times == 0 for one in rig.proxy.faults), f"{what} was met"


@pytest.mark.parametrize("name", CALLS)
def test_what_is_never_an_answer_is_a_store_that_cannot_be_reached(rig: Rig, name: str) -> None:
    call, store = CALLS[name], rig.through(HURRIED)
    for what, fault in NO_ANSWERS.items():
        rig.start_again()
        go_wrong(rig, call, fault, times=ALWAYS)
        with pytest.raises(StoreUnreachable) as caught:
            call.make(rig, store)
        assert rig.address.bucket in caught.value.message, what
        assert "again" not in caught.value.message, what


@pytest.mark.parametrize("name", ANSWERED_WITH_A_DOCUMENT)
@pytest.mark.parametrize("kind", ["bare", "cut"])
def test_a_document_that_breaks_off_is_asked_for_again(rig: Rig, name: str, kind: str) -> None:
    call = CALLS[name]
    go_wrong(rig, call, Fault(cast("Kind", kind), "", ""), times=2)
    assert call.right(rig, call.make(rig, rig.store))
    go_wrong(rig, call, Fault(cast("Kind", kind), "", ""), times=ALWAYS)
    with pytest.raises(StoreUnreachable):
        call.make(rig, rig.through(HURRIED))


@pytest.mark.parametrize("name", HAVE_MARKS)
def test_an_answer_without_its_marks_is_none(rig: Rig, name: str) -> None:
    call, store = CALLS[name], rig.through(HURRIED)
    for mark in HAVE_MARKS[name]:
        rig.start_again()
        go_wrong(rig, call, Fault("strip", "", "", code=mark), times=ALWAYS)
        with pytest.raises(StoreUnreachable):
            call.make(rig, store)


@pytest.mark.parametrize("name", ["get_bucket_versioning", "get_bucket_lifecycle_configuration"])
def test_a_page_is_not_taken_for_a_bucket_without_settings(rig: Rig, name: str) -> None:
    """An answer without anything in it is a sound one here."""
    page = b"<html><body>Please sign in.</body></html>"
    rig.proxy.faults.append(Fault("say", "GET", "", ALWAYS, status=200, body=page))
    with pytest.raises(StoreUnreachable):
        rig.through(HURRIED)._requests.ask(
            lambda client: getattr(client, name)(Bucket=rig.address.bucket)
        )


def test_every_page_of_a_listing_counts(rig: Rig) -> None:
    for number in range(1001):
        rig.direct.put(f"many/{number:04}", b"")
    rig.proxy.faults.append(Fault("bare", "GET", "continuation-token", times=2))
    assert len(rig.store.list("many/")) == 1001
    rig.proxy.faults.append(
        Fault("strip", "GET", "list-type=2", ALWAYS, code="NextContinuationToken")
    )
    with pytest.raises(StoreUnreachable, match="without NextContinuationToken"):
        rig.store.list("many/")


def test_a_page_has_a_limit_in_bytes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_limits, "PAGE_BYTES", 1 * MB)
    rig.direct.put("large", b"x" * (2 * MB))
    assert len(rig.store.get("large", 4 * MB)) == 2 * MB, "an object is no page"
    page = b"<ListBucketResult>" + b" " * (2 * MB) + b"</ListBucketResult>"
    rig.proxy.faults.append(Fault("say", "GET", "list-type=2", ALWAYS, status=200, body=page))
    with pytest.raises(StoreUnreachable, match="a document of more than"):
        rig.store.list("")


def test_a_listing_has_a_limit_in_keys(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEYS", 3)
    for number in range(3):
        rig.direct.put(f"several/{number}", b"")
    assert len(rig.store.list("several/")) == 3
    rig.direct.put("several/4", b"")
    with pytest.raises(StoreDenied, match="has more than 3 keys"):
        rig.store.list("several/")


def test_pages_without_keys_come_to_an_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEYS", 10_000)
    for number in range(30):
        token = f"<NextContinuationToken>{number}</NextContinuationToken>"
        body = (
            f"<ListBucketResult><Name>voices</Name><KeyCount>0</KeyCount>{token}"
            "<IsTruncated>true</IsTruncated></ListBucketResult>"
        ).encode()
        rig.proxy.faults.append(Fault("say", "GET", "list-type=2", status=200, body=body))
    with pytest.raises(StoreDenied, match="has more than"):
        rig.store.list("")


def test_a_refusal_is_asked_twice_and_a_missing_key_too(rig: Rig) -> None:
    """One flipped bit in a header makes a signature wrong, one in a path another key."""
    for status, code in ((403, "AccessDenied"), (403, "SignatureDoesNotMatch"), (404, "NoSuchKey")):
        rig.proxy.faults.append(Fault("answer", "GET", "/a/b", 1, status, code))
        assert rig.store.get("a/b") == b"content"
        rig.proxy.faults.append(Fault("answer", "PUT", "/new", 1, 403, code))
        rig.store.create(f"new/{code}", b"x")
    with pytest.raises(KeyNotFound):
        rig.store.get("a/c")
    rig.proxy.faults.append(Fault("answer", "GET", "/a/b", ALWAYS, 403, "AccessDenied"))
    with pytest.raises(PermissionMissing):
        rig.store.get("a/b")


def test_a_flipped_bit_on_the_way_down_is_seen(rig: Rig) -> None:
    rig.proxy.faults.append(Fault("flip", "GET", "/a/b"))
    assert rig.store.get("a/b") == b"content"


def test_tags_that_are_no_digests_are_believed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a bucket that is encrypted with a key of its own."""
    rig.proxy.faults.append(Fault("flip", "GET", "/a/b", ALWAYS))
    assert rig.store.get("a/b") == b"bontent"
    asked = len(rig.proxy.requests)
    rig.store.get("a/b")
    assert len(rig.proxy.requests) == asked + 1, "the second read has told"


def test_a_created_key_whose_reply_was_lost_is_ours(rig: Rig) -> None:
    rig.proxy.faults.append(Fault("lose reply", "PUT", "/new"))
    rig.store.create("new", b"mine")
    assert rig.direct.get("new") == b"mine"


def test_a_completed_upload_whose_reply_was_lost_is_whole(rig: Rig) -> None:
    rig.proxy.faults.append(Fault("lose reply", "POST", "uploadId="))
    rig.store.put("new", rig.large)
    assert arrived(rig, None)


# --- time ---------------------------------------------------------------------------------------

LEFT_WITHIN_SECONDS = 30.0
"""on a busy machine; such a server would keep a client for ever"""


@pytest.mark.parametrize("kind", ["hang", "drip all"])
@pytest.mark.parametrize("name", ["list", "unfinished", "get", "put", "delete", "send a part"])
def test_a_server_that_never_gets_done_is_left(rig: Rig, name: str, kind: str) -> None:
    """A byte now and then is no silence."""
    call = CALLS[name]
    go_wrong(rig, call, Fault(cast("Kind", kind), "", ""), times=ALWAYS)
    began = time.monotonic()
    with pytest.raises(StoreUnreachable, match="cannot be reached"):
        call.make(rig, rig.through(HURRIED))
    assert time.monotonic() - began < LEFT_WITHIN_SECONDS


@pytest.mark.parametrize("name", ["list", "get", "unfinished", "begin an upload"])
def test_a_body_that_drips_is_left(rig: Rig, name: str) -> None:
    rig.direct.put("a/b", b"x" * 1000)
    call = CALLS[name]
    go_wrong(rig, call, Fault("drip", "", ""), times=ALWAYS)
    began = time.monotonic()
    with pytest.raises(StoreUnreachable):
        call.make(rig, rig.through(HURRIED))
    assert time.monotonic() - began < LEFT_WITHIN_SECONDS


def test_a_command_gives_up_within_twenty_seconds(rig: Rig) -> None:
    rig.proxy.faults.append(Fault("hang", "GET", "", ALWAYS))
    began = time.monotonic()
    with pytest.raises(StoreUnreachable):
        rig.through(IMPATIENT).folders("runs/")
    assert time.monotonic() - began < 15


def test_a_trainer_is_more_patient_than_a_command() -> None:
    assert PATIENT.tries > IMPATIENT.tries
    assert PATIENT.total_seconds > IMPATIENT.total_seconds


def test_a_store_error_is_all_that_comes_out(rig: Rig) -> None:
    """Whatever boto3 makes of an answer that nobody has foreseen."""
    client = rig.store._requests.client

    def fail(**_: object) -> None:
        raise KeyError("Rules")

    client.meta.events.register_first("before-parse.s3", fail)
    for call in CALLS.values():
        with pytest.raises(StoreError, match="cannot be read"):
            call.make(rig, rig.store)
