"""What `fintts store check` asks of a store: broken promises are found, no trace is left."""

from __future__ import annotations

import errno
import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest

from fault_proxy import Fault, FaultProxy, fault_proxy
from fintts_store.backends.directory import DirectoryStore
from fintts_store.backends.marker import MARKER, folder_as_it_was
from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.probes import days_to_abort, judge_clock
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.errors import KeyExists, PermissionMissing, StoreDenied, StoreUnreachable
from fintts_store.probes.probes import (
    Finding,
    Outcome,
    OwnProbes,
    Probe,
    ProbeFolder,
    Verdict,
    create_is_exclusive,
    probe_store,
)
from fintts_store.runs.limits import RECORD_BYTES
from fintts_store.store import Entry
from memory_store import MemoryStore
from radosgw import Radosgw
from s3_servers import QUICK, make_bucket

COMMON = ["list", "write", "read back", "conditional write", "delete", "clean up"]
OF_S3 = ["multipart", "abort multipart", "clock", "lifecycle rule", "versioning"]
OK, WARNING, FAILED = Verdict.OK, Verdict.WARNING, Verdict.FAILED


def verdicts(outcomes: list[Outcome]) -> dict[str, Verdict]:
    """All but of a probe that sees what other tests have made."""
    return {o.name: o.finding.verdict for o in outcomes if o.name != "no more rights"}


def answer(outcomes: list[Outcome], name: str) -> Finding:
    (found,) = [outcome.finding for outcome in outcomes if outcome.name == name]
    return found


# --- every store --------------------------------------------------------------------------------


def test_a_sound_store_passes_and_is_empty_again(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    store.put("mine", b"x")
    outcomes = probe_store(store)
    assert verdicts(outcomes) == dict.fromkeys(COMMON, OK)
    assert sorted(path.name for path in store.root.rglob("*")) == [MARKER, "mine"]


def test_a_folder_that_was_not_there_is_not_there_afterwards(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "a" / "store")
    assert verdicts(probe_store(store)) == dict.fromkeys(COMMON, OK)
    assert list(tmp_path.iterdir()) == []


class AnyoneWins(MemoryStore):
    """Takes no notice of the condition."""

    def create(self, key: str, data: bytes) -> None:
        self.put(key, data)


class NobodyWins(MemoryStore):
    """Tells everyone that another was first."""

    def create(self, key: str, data: bytes) -> None:
        self.put(key, data)
        raise KeyExists(f"{key} is there already")


class LastWins(MemoryStore):
    """Tells one that it has won, and keeps what another wrote."""

    def create(self, key: str, data: bytes) -> None:
        try:
            super().create(key, data)
        except KeyExists:
            self.put(key, data)
            raise


class NothingKept(MemoryStore):
    """Tells everyone that another was first, and keeps nothing."""

    def create(self, key: str, data: bytes) -> None:
        raise KeyExists(f"{key} is there already")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (NothingKept, "0 of 8 writers won"),
        (AnyoneWins, "8 of 8 writers won"),
        (NobodyWins, "0 of 8 writers won"),
        (LastWins, "1 of 8 writers won a race, and another writer's data is kept"),
    ],
)
def test_a_store_that_does_not_keep_to_the_condition_is_found(
    kind: type[MemoryStore], said: str
) -> None:
    found = answer(probe_store(kind()), "conditional write")
    assert found.verdict is FAILED
    assert said in found.sentence
    assert "use another store" in found.hint
    assert not create_is_exclusive(kind())


class RarelyWrong(MemoryStore):
    """Ignores the condition in the last of ten races alone."""

    def create(self, key: str, data: bytes) -> None:
        if key.endswith("race-9"):
            self.put(key, data)
        else:
            super().create(key, data)


def test_a_condition_that_is_rarely_ignored_is_found() -> None:
    store = RarelyWrong()
    assert not create_is_exclusive(store)
    assert answer(probe_store(store), "conditional write").verdict is FAILED
    assert store.list("") == []


def test_a_race_leaves_nothing_behind(tmp_path: Path) -> None:
    memory, directory = MemoryStore(), DirectoryStore(tmp_path / "store")
    for store in (memory, directory):
        store.put("mine", b"x")
        assert create_is_exclusive(store)
        assert [entry.key for entry in store.list("")] == ["mine"]


def test_a_store_that_cannot_be_written_has_no_exclusive_create() -> None:
    class Closed(MemoryStore):
        def create(self, key: str, data: bytes) -> None:
            raise PermissionMissing("it refuses PutObject", "allow it")

    with pytest.raises(PermissionMissing, match="refuses PutObject"):
        create_is_exclusive(Closed())


def test_ctrl_c_at_the_start_of_a_race_does_not_hang() -> None:
    class Ended(MemoryStore):
        def create(self, key: str, data: bytes) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_is_exclusive(Ended())


class Forgetful(MemoryStore):
    """Gives other bytes back than it was given."""

    def get(self, key: str, limit_bytes: int = RECORD_BYTES) -> bytes:
        return super().get(key, limit_bytes)[::-1]


class Clinging(MemoryStore):
    """Keeps what it is told to delete."""

    def delete(self, key: str) -> None:
        pass


def test_broken_promises_are_found() -> None:
    assert answer(probe_store(Forgetful()), "read back").verdict is FAILED
    outcomes = probe_store(Clinging())
    assert answer(outcomes, "delete").verdict is FAILED
    assert answer(outcomes, "clean up").verdict is FAILED
    assert "stay in probes/" in answer(outcomes, "clean up").sentence


class Down(MemoryStore):
    """Answers no more after so many writes."""

    writes_left = 0

    def put(self, key: str, source: bytes | Path) -> None:
        if not self.writes_left:
            raise StoreUnreachable("it is down", "check that it is up")
        self.writes_left -= 1
        super().put(key, source)


def test_what_depends_on_a_failed_probe_is_not_probed() -> None:
    """Each would only wait for its own time-out, to say the same."""
    found = verdicts(probe_store(Down()))
    assert found["list"] is OK
    assert found["write"] is FAILED
    assert {found[name] for name in ("read back", "conditional write", "delete")} == {
        Verdict.NOT_PROBED
    }


class Deaf(MemoryStore):
    """Writes, and is not heard any more."""

    def put(self, key: str, source: bytes | Path) -> None:
        super().put(key, source)
        raise StoreUnreachable("the reply was lost")


def test_what_was_written_without_a_reply_is_removed_too() -> None:
    store = Deaf()
    assert verdicts(probe_store(store))["write"] is FAILED
    assert store.list("") == []


def test_a_folder_that_may_not_be_seen_is_the_stores_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "exists", closed)
    with (
        pytest.raises(PermissionMissing, match="cannot be accessed"),
        folder_as_it_was(tmp_path / "store"),
    ):
        pass


class Nowhere(MemoryStore):
    """A bucket that does not exist."""

    asked = 0

    def list(self, prefix: str) -> list[Entry]:
        self.asked += 1
        raise StoreDenied("there is no bucket", "create it")


def test_of_a_store_that_is_not_there_nothing_more_is_asked() -> None:
    store = Nowhere()
    found = verdicts(probe_store(store))
    assert found.pop("list") is FAILED
    assert set(found.values()) == {Verdict.NOT_PROBED}
    assert store.asked == 1


# --- when it is ended -----------------------------------------------------------------------------


def interrupted(_ground: ProbeFolder) -> list[Probe]:
    def ask() -> Finding:
        raise KeyboardInterrupt

    return [Probe("interrupted", ask)]


class Interrupted(DirectoryStore):
    """A folder whose user presses Ctrl-C at the last probe."""

    @property
    def probes(self) -> OwnProbes:
        return interrupted


class InterruptedAndClinging(Clinging):
    """The same, where nothing can be deleted."""

    @property
    def probes(self) -> OwnProbes:
        return interrupted


def test_ctrl_c_leaves_no_trace(tmp_path: Path) -> None:
    store = Interrupted(tmp_path)
    with pytest.raises(KeyboardInterrupt) as ended:
        probe_store(store)
    assert str(ended.value) == ""
    assert [path.name for path in tmp_path.rglob("*")] == [MARKER]


def test_ctrl_c_says_what_could_not_be_removed() -> None:
    with pytest.raises(KeyboardInterrupt, match="stay in probes/"):
        probe_store(InterruptedAndClinging())


def test_what_a_killed_check_left_is_removed_later_and_nothing_else(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.put("probes/20200101T000000Z-0123abcd/sample", b"x")
    others = ["probes/29990101T000000Z-0123abcd/sample", "probes/mine/20200101T000000Z"]
    for key in others:
        store.put(key, b"of somebody else")
    probe_store(store)
    assert [entry.key for entry in store.list("")] == sorted(others)


# --- S3 -------------------------------------------------------------------------------------------


@pytest.fixture
def address(moto_endpoint: str) -> S3Address:
    return make_bucket(moto_endpoint, f"b{secrets.token_hex(8)}")


@pytest.fixture
def proxy(moto_endpoint: str, address: S3Address) -> Iterator[FaultProxy]:
    with fault_proxy(moto_endpoint) as running:
        yield running


def probe_s3(address: S3Address) -> list[Outcome]:
    return probe_store(S3Store(address, QUICK))


def assert_no_trace(address: S3Address) -> None:
    client = boto3.client("s3", endpoint_url=address.endpoint_url)
    assert client.list_objects_v2(Bucket=address.bucket)["KeyCount"] == 0
    assert "Uploads" not in client.list_multipart_uploads(Bucket=address.bucket)


def test_a_bucket_passes_and_is_empty_again(address: S3Address) -> None:
    found = probe_s3(address)
    assert verdicts(found) == {**dict.fromkeys([*COMMON, *OF_S3], OK), "lifecycle rule": WARNING}
    assert_no_trace(address)


@pytest.mark.parametrize(
    ("method", "part", "operation", "probe"),
    [
        ("GET", "list-type=2", "ListObjectsV2", "list"),
        ("PUT", "/sample", "PutObject", "write"),
        ("GET", "/sample", "GetObject", "read back"),
        ("DELETE", "/sample", "DeleteObject", "delete"),
        ("DELETE", "uploadId=", "AbortMultipartUpload", "abort multipart"),
        ("GET", "?uploads", "ListMultipartUploads", "abort multipart"),
        ("POST", "uploads", "CreateMultipartUpload", "multipart"),
    ],
)
def test_a_permission_that_lacks_is_said_by_its_name(
    address: S3Address, proxy: FaultProxy, method: str, part: str, operation: str, probe: str
) -> None:
    proxy.faults.append(Fault("answer", method, part, 1000, 403, "AccessDenied"))
    found = answer(probe_s3(replace(address, endpoint_url=proxy.url)), probe)
    assert found.verdict is FAILED
    assert f"refuses {operation}" in found.sentence
    assert "AbortMultipartUpload on the prefix" in found.hint


def test_a_bucket_without_a_right_to_list_is_left_clean_all_the_same(
    address: S3Address, proxy: FaultProxy
) -> None:
    proxy.faults.append(Fault("answer", "GET", "list-type=2", 1000, 403, "AccessDenied"))
    found = probe_s3(replace(address, endpoint_url=proxy.url))
    assert answer(found, "clean up").verdict is WARNING
    assert_no_trace(address)


def test_an_upload_whose_last_part_fails_leaves_no_trace(
    address: S3Address, proxy: FaultProxy
) -> None:
    proxy.faults.append(Fault("answer", "PUT", "partNumber=2", 1000, 400, "EntityTooSmall"))
    # What was begun is aborted by its own number: a key that may not list finds no other.
    proxy.faults.append(Fault("answer", "GET", "?uploads", 1000, 403, "AccessDenied"))
    found = probe_s3(replace(address, endpoint_url=proxy.url))
    assert answer(found, "multipart").verdict is FAILED
    assert_no_trace(address)


class Unlisted(S3Store):
    """Lists no uploads below a prefix, as MinIO."""

    def unfinished(self, prefix: str) -> list[str]:
        return []


class Unaborted(S3Store):
    """Goes on listing what was aborted."""

    seen: ClassVar[set[str]] = set()

    def unfinished(self, prefix: str) -> list[str]:
        self.seen.update(super().unfinished(prefix))
        return sorted(self.seen)


@pytest.mark.parametrize(("kind", "verdict"), [(Unlisted, WARNING), (Unaborted, FAILED)])
def test_uploads_that_cannot_be_cleared_away_are_told_of(
    address: S3Address, kind: type[S3Store], verdict: Verdict
) -> None:
    store = kind(address)
    assert answer(probe_store(store), "abort multipart").verdict is verdict
    assert_no_trace(address)


def rules_in(hint: str) -> Any:
    """What the command in a hint would set."""
    return json.loads(hint.partition("--lifecycle-configuration '")[2].removesuffix("'"))


def test_a_rule_that_aborts_uploads_is_found(address: S3Address) -> None:
    client = boto3.client("s3", endpoint_url=address.endpoint_url)
    rules = rules_in(answer(probe_s3(address), "lifecycle rule").hint)
    client.put_bucket_lifecycle_configuration(Bucket=address.bucket, LifecycleConfiguration=rules)
    found = answer(probe_s3(address), "lifecycle rule")
    assert (found.verdict, found.sentence) == (OK, "aborts uploads that are 2 days old")


def test_a_rule_that_may_not_be_seen_is_no_failure(address: S3Address, proxy: FaultProxy) -> None:
    proxy.faults.append(Fault("answer", "GET", "?lifecycle", 1000, 403, "AccessDenied"))
    found = answer(probe_s3(replace(address, endpoint_url=proxy.url)), "lifecycle rule")
    assert found.verdict is WARNING
    assert "refuses GetBucketLifecycleConfiguration" in found.sentence


def assert_old_versions_are_told_of(address: S3Address) -> None:
    """Until a rule deletes them, which is not yet one that aborts uploads."""
    client = boto3.client("s3", endpoint_url=address.endpoint_url)
    assert answer(probe_s3(address), "versioning").sentence == "off: deleted files are gone"
    on = {"Status": "Enabled"}
    client.put_bucket_versioning(Bucket=address.bucket, VersioningConfiguration=on)  # type: ignore[arg-type]  # as JSON has it
    found = probe_s3(address)
    assert answer(found, "versioning").verdict is WARNING
    assert "are still billed" in answer(found, "versioning").sentence
    for probe, sentence in (
        ("lifecycle rule", "are still billed"),
        ("versioning", "old versions are deleted after 2 days"),
    ):
        rules = rules_in(answer(found, probe).hint)
        client.put_bucket_lifecycle_configuration(
            Bucket=address.bucket, LifecycleConfiguration=rules
        )
        assert sentence in answer(probe_s3(address), "versioning").sentence


def test_a_bucket_that_keeps_old_versions_is_told_of(address: S3Address, proxy: FaultProxy) -> None:
    assert_old_versions_are_told_of(address)
    proxy.faults.append(Fault("answer", "GET", "?versioning", 1000, 403, "AccessDenied"))
    found = answer(probe_s3(replace(address, endpoint_url=proxy.url)), "versioning")
    assert (found.verdict, found.sentence) == (OK, "this key may not read it")


def test_the_real_server_s_old_versions_are_told_of(gateway: Radosgw) -> None:
    assert_old_versions_are_told_of(make_bucket(gateway.url, f"b{secrets.token_hex(8)}"))


SWIFT_S_LIFECYCLE = b"""<?xml version='1.0' encoding='UTF-8'?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix/><Marker/>
<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>"""
NO_RULES = b"<LifecycleConfiguration/>"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (SWIFT_S_LIFECYCLE, "it sent a document <ListBucketResult>"),
        (b"", "it sent an empty answer"),
        (b"<html>sign in</html>", "it sent a document <html>"),
        (b"<LifecycleConfiguration><Rule><Expiration><Days>x</Days>", "unknown"),
        (NO_RULES, "none aborts interrupted uploads"),
    ],
)
def test_a_lifecycle_that_is_none_is_a_warning(
    address: S3Address, proxy: FaultProxy, body: bytes, said: str
) -> None:
    """Swift answers this question with a list of the bucket."""
    proxy.faults.append(Fault("say", "GET", "?lifecycle", 1000, 200, body=body))
    proxy.faults.append(Fault("say", "GET", "?versioning", 1000, 200, body=body))
    found = probe_s3(replace(address, endpoint_url=proxy.url))
    assert answer(found, "lifecycle rule").verdict is WARNING
    assert said in answer(found, "lifecycle rule").sentence
    assert answer(found, "versioning").verdict is WARNING
    assert_no_trace(address)


class Buckets(Fault):
    """Goes wrong with the list of all buckets alone."""

    def hits(self, method: str, path: str) -> bool:
        return path == self.part and super().hits(method, path)


def test_a_key_that_opens_more_than_this_bucket_is_told_of(
    address: S3Address, proxy: FaultProxy
) -> None:
    make_bucket(str(address.endpoint_url), f"b{secrets.token_hex(8)}")
    found = answer(probe_s3(address), "no more rights")
    assert found.verdict is WARNING
    assert "more bucket" in found.sentence
    assert "s3:GetObject" in found.hint
    proxy.faults.append(Buckets("answer", "GET", "/", 1000, 403, "AccessDenied"))
    found = answer(probe_s3(replace(address, endpoint_url=proxy.url)), "no more rights")
    assert (found.verdict, found.sentence) == (OK, "the key has access to no other bucket")


ABORTS = {"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ({**ABORTS, "Filter": {}}, 7),
        ({**ABORTS, "Filter": {"Prefix": "teams/"}}, 7),
        ({**ABORTS, "Prefix": "teams/speech/"}, 7),
        ({**ABORTS, "Filter": {"Prefix": "teams/speech/runs/"}}, None),
        ({**ABORTS, "Prefix": "other"}, None),
        ({**ABORTS, "Status": "Disabled"}, None),
        ({**ABORTS, "Filter": {"Tag": {"Key": "a", "Value": "b"}}}, None),
        ({"Status": "Enabled", "Expiration": {"Days": 7}}, None),
    ],
)
def test_only_a_rule_for_this_prefix_counts(rule: object, days: int | None) -> None:
    assert days_to_abort(rule, "teams/speech/") == days  # type: ignore[arg-type]  # as JSON has it


@pytest.mark.parametrize(
    ("ahead_seconds", "verdict", "said"),
    [
        (1.5, OK, "agrees"),
        (-30.0, OK, "30 s behind this machine's"),
        (61.0, WARNING, "61 s ahead of this machine's"),
        (-600.0, WARNING, "600 s behind this machine's"),
    ],
)
def test_clocks_are_compared(ahead_seconds: float, verdict: Verdict, said: str) -> None:
    found = judge_clock(ahead_seconds)
    assert found.verdict is verdict
    assert said in found.sentence
    assert bool(found.hint) == (verdict is WARNING)


def test_the_real_server_passes(gateway: Radosgw) -> None:
    address = make_bucket(gateway.url, f"b{secrets.token_hex(8)}")
    found = verdicts(probe_s3(address))
    assert found == {**dict.fromkeys([*COMMON, *OF_S3], OK), "lifecycle rule": WARNING}
    assert_no_trace(address)


def test_the_real_servers_create_is_exclusive(gateway: Radosgw, address: S3Address) -> None:
    real = make_bucket(gateway.url, f"b{secrets.token_hex(8)}")
    for one in (real, address):
        assert create_is_exclusive(S3Store(one))
        assert_no_trace(one)


def test_the_real_server_s_policy_is_said(gateway: Radosgw) -> None:
    address = make_bucket(gateway.url, f"b{secrets.token_hex(8)}")
    statement = {
        "Effect": "Deny",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:DeleteObject"],
        "Resource": [f"arn:aws:s3:::{address.bucket}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client = boto3.client("s3", endpoint_url=address.endpoint_url)
    client.put_bucket_policy(Bucket=address.bucket, Policy=policy)
    found = probe_s3(address)
    assert [o.name for o in found if o.finding.verdict is FAILED] == ["delete", "clean up"]
    assert "refuses DeleteObject" in answer(found, "delete").sentence
