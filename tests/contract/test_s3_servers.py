"""S3 servers as they are: each works, or is refused with its own reason and a mend that mends.

Each is an adapter before an S3 without peculiarities (`s3_as_it_is`). What is asked of one that
works is what a run asks; the mend is done, and then the same is asked again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from fault_proxy import FaultProxy, Server, fault_proxy
from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.addresses.parse import parse_address
from fintts_store.backends.s3.backend import S3Backend
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.going_on import restore_to_go_on
from fintts_store.errors import (
    KeyExists,
    NoExclusiveCreate,
    PermissionMissing,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnreachable,
)
from fintts_store.network.patience import PATIENT, Patience
from fintts_store.opening import open_store
from fintts_store.probes.promise import read_promise, require_promise
from fintts_store.runs.claims import take_claim
from fintts_store.store import Store
from s3_as_it_is import (
    GO_WANTS_TLS,
    NGINX_WANTS_TLS,
    Backblaze,
    Fickle,
    Firewall,
    Full,
    HasTheBucketInItsName,
    InRegion,
    KeyOfKmsIsClosed,
    Nginx,
    ObjectLock,
    RequesterPays,
    Static,
    WantsEncryption,
)
from s3_servers import QUICK, SMALL, make_bucket

MB = 1024 * 1024
PART_BYTES = SMALL.part_bytes
IN_PARTS = PART_BYTES + 1000
TWICE = replace(QUICK, tries=2, connect_seconds=5, silent_seconds=10, total_seconds=20)
BUCKETS = S3Backend(SMALL)
KEY_ID = "arn:aws:kms:eu-north-1:123456789012:key/1234abcd"


@dataclass
class Place:
    """A bucket, and the proxy before it."""

    address: S3Address
    proxy: FaultProxy

    def store(self, patience: Patience = TWICE, **options: Any) -> Store:
        """As it is opened by its address, with options in it."""
        return BUCKETS.open(replace(self.address, **options).url, patience)

    @property
    def writes(self) -> int:
        """How many requests there were to write."""
        return sum(one.startswith(("PUT", "POST")) for one in self.proxy.requests)


@pytest.fixture(scope="module")
def bucket(moto_endpoint: str) -> S3Address:
    return make_bucket(moto_endpoint, f"b{secrets.token_hex(8)}")


@contextmanager
def placed(bucket: S3Address, server: Server) -> Iterator[Place]:
    with fault_proxy(str(bucket.endpoint_url), server) as proxy:
        prefix = f"{secrets.token_hex(4)}/"
        yield Place(replace(bucket, prefix=prefix, endpoint_url=proxy.url), proxy)


def live(store: Store, folder: Path, size_bytes: int = 1000, *, single_writer: bool = True) -> None:
    """All that a run asks of a store: the promise, a claim, a checkpoint there and back."""
    require_promise(store, single_writer=single_writer)
    assert take_claim(store, "voice", "laptop") == 1
    with pytest.raises(KeyExists):
        store.create("runs/voice/claims/000001", b"of somebody else")
    saved = folder / "saved"
    saved.mkdir()
    (saved / "adapter_model.safetensors").write_bytes(secrets.token_bytes(size_bytes))
    (saved / "adapter_config.json").write_bytes(b"{}")
    commit = Committer(store, "voice", 1, keep_last=1, keep_best=False)
    commit.commit(saved, CheckpointFacts(10, "c", "b", "val/loss", "min", None))
    found = restore_to_go_on(
        store, "voice", 1, folder / "back", lambda _, __: None, patience_seconds=0
    )
    assert found is not None
    assert found.step == 10
    assert store.folders("runs/") == ["voice"]
    for entry in store.list(""):
        store.delete(entry.key)
    store.discard_unfinished("")
    assert store.list("") == []


# --- servers with which all is well -------------------------------------------------------------

GARAGE = "Authorization header malformed, unexpected scope: '{came}'"
WORKS: dict[str, Server] = {
    "Object Lock": ObjectLock(),
    "Garage": InRegion("garage", GARAGE, element=True),
    "Garage, newer": InRegion("garage", GARAGE + ", expected: '{wanted}'", element=False),
    "another region of AWS": InRegion(
        "eu-north-1",
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting "
        "'eu-north-1'",
        element=False,
    ),
}


@pytest.mark.parametrize("name", WORKS)
def test_a_run_lives_in_it(bucket: S3Address, tmp_path: Path, name: str) -> None:
    with placed(bucket, WORKS[name]) as place:
        is_locked = name == "Object Lock"
        live(place.store(), tmp_path, IN_PARTS if is_locked else 1000, single_writer=not is_locked)


def test_a_region_that_is_named_is_asked_for_once(bucket: S3Address) -> None:
    with placed(bucket, WORKS["Garage, newer"]) as place:
        store = place.store()
        for _ in range(3):
            store.put("a", b"x")
        assert place.writes == 4
        assert isinstance(store, S3Store)
        reach = store.probes.reach()
        assert reach.sentence, "a request about no bucket, too"


def test_a_server_that_names_ever_other_regions_is_left(bucket: S3Address) -> None:
    with placed(bucket, Fickle()) as place:
        with pytest.raises(StoreDenied, match="is in another region"):
            place.store().put("a", b"x")
        assert place.writes < 6


def test_an_endpoint_that_ends_in_the_bucket_s_name_is_the_one_without(
    bucket: S3Address, tmp_path: Path
) -> None:
    """As Cloudflare's dashboard shows that of R2 (github.com/cloudflare/cloudflare-docs, issue
    11313)."""
    for end in ("", "/"):
        shown = f"{bucket.endpoint_url}/{bucket.bucket}{end}"
        address = parse_address(replace(bucket, endpoint_url=shown).url)
        assert address == bucket
    store = open_store(replace(bucket, prefix="r2/", endpoint_url=shown).url, TWICE)
    live(store, tmp_path)
    for other in ("https://voices", "https://host/voices-2", "https://host/s3"):
        assert parse_address(f"s3://voices?endpoint_url={other}").endpoint_url == other


# --- servers with which one thing has to be done --------------------------------------------------

Mend = Callable[[Place], Store]


@dataclass(frozen=True)
class Refusing:
    """A server that refuses, what it is told of, and what is done about it."""

    server: Server
    kind: type[StoreError]
    said: str
    hint: str
    mend: Mend
    tries: int = 2
    size_bytes: int = 1000
    """of the checkpoint that goes there afterwards"""


def with_server(server: Server) -> Mend:
    """Its owner does it."""

    def mend(place: Place) -> Store:
        place.proxy.server = server
        return place.store()

    return mend


LARGER = with_server(Nginx(64 * MB))
EMPTIED = with_server(ObjectLock())
ENCRYPTS: dict[str, Any] = {"sse": "aws:kms", "sse_kms_key_id": KEY_ID}
REFUSING = {
    "a policy that wants encryption": Refusing(
        WantsEncryption("AES256"),
        *(PermissionMissing, "explicit deny in a resource-based policy", "sse=AES256"),
        lambda place: place.store(sse="AES256"),
        size_bytes=IN_PARTS,
    ),
    "a policy that wants a key of KMS": Refusing(
        WantsEncryption("aws:kms", KEY_ID),
        *(PermissionMissing, "explicit deny in a resource-based policy", "sse_kms_key_id=ID"),
        lambda place: place.store(**ENCRYPTS),
    ),
    "a key of KMS that may not be used": Refusing(
        KeyOfKmsIsClosed(),
        *(PermissionMissing, "not authorized to perform: kms:GenerateDataKey"),
        *("allow your key kms:GenerateDataKey and kms:Decrypt", EMPTIED),
    ),
    "a key of KMS that is off": Refusing(
        KeyOfKmsIsClosed(400, "KMS.DisabledException", "arn:aws:kms:…:key/1 is disabled."),
        *(StoreDenied, "400 KMS.DisabledException: arn:aws:kms:…:key/1 is disabled"),
        *("of the bucket is enabled", EMPTIED),
    ),
    "the cap of B2": Refusing(
        Full(403, "AccessDenied", "Cannot upload files, storage cap exceeded. See the Caps & "
             "Alerts page to increase your cap."),
        *(StoreFull, "403 AccessDenied: Cannot upload files, storage cap exceeded"),
        *("raise its quota", EMPTIED),
    ),
    "a quota": Refusing(
        Full(403, "QuotaExceeded", "Your request was denied due to quota exceeded."),
        *(StoreFull, "403 QuotaExceeded: Your request was denied", "raise its quota", EMPTIED),
    ),
    "a full disk of MinIO": Refusing(
        Full(507, "XMinioStorageFull", "Storage backend has reached its minimum free drive "
             "threshold."),
        *(StoreFull, "507 XMinioStorageFull: Storage backend", "free some space", EMPTIED, 1),
    ),
    "507": Refusing(
        Full(507, "", ""), StoreFull, "answered with 507", "free some space", EMPTIED, 1
    ),
    "nginx": Refusing(
        Nginx(10), StoreDenied, "does not accept such large requests",
        "client_max_body_size 64m", LARGER, 1,
    ),
    "a region that is not named": Refusing(
        InRegion("us-west-004", "Authorization header is malformed", element=False),
        *(StoreDenied, "is in another region: Authorization header is malformed"),
        "region=REGION, or set AWS_DEFAULT_REGION",
        lambda place: place.store(region="us-west-004"),
        1,
    ),
    "requester pays": Refusing(
        RequesterPays(), PermissionMissing, "refuses PutObject", "request_payer=requester",
        lambda place: place.store(request_payer="requester"),
    ),
    "a company's proxy": Refusing(
        Firewall(), StoreDenied, "it sent 403 without a document of S3: Blocked by policy 17",
        "no login page or proxy answers", with_server(ObjectLock()), 1,
    ),
    "nginx on a TLS port": Refusing(
        NGINX_WANTS_TLS, StoreDenied, "The plain HTTP request was sent to HTTPS port",
        "it expects TLS: write its endpoint as https://127.0.0.1", with_server(ObjectLock()), 1,
    ),
    "MinIO on a TLS port": Refusing(
        GO_WANTS_TLS, StoreDenied, "Client sent an HTTP request to an HTTPS server",
        "it expects TLS: write its endpoint as https://127.0.0.1", with_server(ObjectLock()), 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSING)
def test_it_is_refused_with_its_reason_and_the_mend_mends(
    bucket: S3Address, tmp_path: Path, name: str
) -> None:
    case = REFUSING[name]
    with placed(bucket, case.server) as place:
        with pytest.raises(case.kind) as refused:
            place.store(PATIENT).put("a", b"x" * 100)
        assert case.said in refused.value.message
        assert case.hint in refused.value.hint
        assert "again" not in refused.value.message + refused.value.hint
        assert place.writes == case.tries, "what does not pass is not asked for again and again"
        live(case.mend(place), tmp_path, case.size_bytes)


# --- servers that keep no promise -----------------------------------------------------------------


def test_without_conditional_writes_a_store_has_one_writer_or_is_refused(
    bucket: S3Address, tmp_path: Path
) -> None:
    with placed(bucket, Backblaze()) as place:
        store = place.store()
        attempts: list[Callable[[], object]] = [
            lambda: require_promise(store, single_writer=False),
            lambda: store.create("runs/voice/run.json", b"x"),
        ]
        for attempt in attempts:
            with pytest.raises(NoExclusiveCreate, match="header you provided implies") as refused:
                attempt()
            assert "--single-writer" in refused.value.hint
        assert store.list("") == []
        live(place.store(), tmp_path)


def test_one_writer_s_word_is_not_another_s(bucket: S3Address) -> None:
    """Who does not say it is refused each time, and takes nothing from the one who has."""
    with placed(bucket, Backblaze()) as place:
        require_promise(place.store(), single_writer=True)
        for _ in range(2):
            with pytest.raises(NoExclusiveCreate):
                require_promise(place.store(), single_writer=False)
        found = read_promise(place.store())
        assert found is not None
        assert (found.single_writer, found.is_exclusive) == (True, False)
        place.store().create("a", b"x")


# --- what is not S3 -------------------------------------------------------------------------------


def test_a_page_with_all_headers_of_an_object_is_none(bucket: S3Address) -> None:
    with placed(bucket, Static()) as place:
        store = place.store()
        for attempt in (
            lambda: store.get("a"),
            lambda: store.put("a", b"x"),
            lambda: store.create("a", b"x"),
            lambda: store.list(""),
            lambda: store.folders(""),
            lambda: store.delete("a"),
            lambda: store.unfinished(""),
        ):
            with pytest.raises(StoreUnreachable, match="does not answer like S3"):
                attempt()


def test_an_endpoint_with_the_bucket_in_its_host_is_told_of(bucket: S3Address) -> None:
    with placed(bucket, HasTheBucketInItsName()) as place:
        for attempt in (lambda: place.store().list(""), lambda: place.store().folders("")):
            with pytest.raises(StoreDenied, match="treats the listing of the bucket as") as refused:
                attempt()
            assert "write it as" in refused.value.hint


def test_tls_on_a_plain_port(bucket: S3Address, tmp_path: Path) -> None:
    secure = str(bucket.endpoint_url).replace("http://", "https://")
    with pytest.raises(StoreDenied, match="does not speak TLS") as refused:
        open_store(replace(bucket, endpoint_url=secure).url, TWICE).put("a", b"x")
    assert str(bucket.endpoint_url) in refused.value.hint
    live(open_store(replace(bucket, prefix="tls/").url, TWICE), tmp_path)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("s3://voices--euw1-az1--x-s3/a", "is a directory bucket", "a general purpose bucket"),
        ("s3://arn:aws:s3:eu-north-1:123456789012:accesspoint/ap/a", "an ARN", "-s3alias"),
        ("s3://voices?sse=none", "sets sse to none", "AES256 or aws:kms"),
        ("s3://voices?sse_kms_key_id=1", "a KMS key without sse", "sse=aws:kms"),
        ("s3://voices?sse=AES256&sse_kms_key_id=1", "a KMS key without sse", "sse=aws:kms"),
        ("s3://voices?request_payer=me", "sets request_payer to me", "it is requester"),
    ],
)
def test_buckets_and_options_of_another_kind(text: str, said: str, hint: str) -> None:
    """AWS's user guide: a directory bucket lists whole folders alone ("Differences for directory
    buckets"); an access point's alias stands in place of a bucket's name ("Access point
    aliases")."""
    with pytest.raises(StoreDenied, match=said) as refused:
        open_store(text)
    assert hint in refused.value.hint


def test_an_access_point_s_alias_and_all_options_are_an_address() -> None:
    text = "s3://ap-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias/a"
    assert open_store(text).url == text
    address = S3Address("voices", sse="aws:kms", sse_kms_key_id=KEY_ID, request_payer="requester")
    assert parse_address(address.url) == address
