"""The additional probes of an S3 store."""

import hashlib
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from fintts_store.backends.s3.http.reasons import NEEDED
from fintts_store.backends.s3.http.requests import S3Requests
from fintts_store.errors import KeyNotFound, PermissionMissing, StoreError
from fintts_store.probes.probes import Finding, Probe, ProbeFolder, Verdict

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import LifecycleRuleOutputTypeDef

SMALLEST_PART_BYTES = 5 * 1024 * 1024
"""of every part except the last"""
LAST_PART_BYTES = 1024
CLOCKS_AGREE_SECONDS = 2.0
"""The server's header gives whole seconds"""
CLOCKS_DIFFER_SECONDS = 60.0
"""Warn from here on: servers refuse at 15 minutes"""
OPEN_UPLOADS = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}}
OLD_VERSIONS = {"NoncurrentVersionExpiration": {"NoncurrentDays": 2}}
"""The actions of rules, in S3's notation"""


class S3Probes:
    """Probes one bucket."""

    def __init__(self, requests: S3Requests) -> None:
        self._requests, self._address = requests, requests.address
        self._bucket = self._address.bucket

    def __call__(self, folder: ProbeFolder) -> Sequence[Probe]:
        """The probes; those that need only the right to read come last."""
        return (
            Probe("multipart", lambda: self._multipart(folder), after="write"),
            Probe("abort multipart", lambda: self._abort(folder), after="write"),
            Probe("clock", self._clock),
            Probe("lifecycle rule", self._lifecycle),
            Probe("versioning", self._versioning),
            Probe("no more rights", self.reach),
        )

    def _multipart(self, folder: ProbeFolder) -> Finding:
        parts = [secrets.token_bytes(size) for size in (SMALLEST_PART_BYTES, LAST_PART_BYTES)]
        name = self._address.prefix + folder.parts
        upload = self._begin(name)
        try:
            self._complete(name, upload, parts)
        except BaseException:
            self._requests.abort(name, upload)
            raise
        digest = hashlib.sha256()
        for chunk in folder.store.stream(folder.parts):
            digest.update(chunk)
        if digest.digest() == hashlib.sha256(b"".join(parts)).digest():
            return Finding(sentence=f"{len(parts)} parts")
        return Finding(Verdict.FAILED, "a multipart upload came back as other bytes")

    def _begin(self, name: str) -> str:
        began = self._requests.ask(
            lambda client: client.create_multipart_upload(Bucket=self._bucket, Key=name), name
        )
        return began["UploadId"]

    def _complete(self, name: str, upload: str, parts: Sequence[bytes]) -> None:
        tags = [self._send(name, upload, number, part) for number, part in enumerate(parts, 1)]
        self._requests.ask(
            lambda client: client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=name,
                UploadId=upload,
                MultipartUpload={
                    "Parts": [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]
                },
            ),
            name,
        )

    def _send(self, name: str, upload: str, number: int, part: bytes) -> str:
        sent = self._requests.ask(
            lambda client: client.upload_part(
                Bucket=self._bucket, Key=name, UploadId=upload, PartNumber=number, Body=part
            ),
            name,
        )
        return sent["ETag"]

    def _abort(self, folder: ProbeFolder) -> Finding:
        """Checks that a started upload is listed, and is gone after its abort."""
        store, name = folder.store, self._address.prefix + folder.aborted
        upload = self._begin(name)
        try:
            seen = store.unfinished(folder.prefix)
        finally:
            self._requests.abort(name, upload)
        if folder.aborted not in seen:  # MinIO lists only the uploads of one complete key
            return Finding(
                Verdict.WARNING,
                "the server does not list uploads by prefix, so runs cannot remove interrupted "
                "ones",
                "let a lifecycle rule or the server do it",
            )
        if folder.aborted in store.unfinished(folder.prefix):
            return Finding(Verdict.FAILED, "an upload that was aborted is still listed")
        return Finding()

    def _clock(self) -> Finding:
        asked = datetime.now(UTC)
        response = self._requests.ask(
            lambda client: client.list_objects_v2(
                Bucket=self._bucket, Prefix=self._address.prefix, MaxKeys=1
            )
        )
        midway = asked + (datetime.now(UTC) - asked) / 2
        told = _moment(response["ResponseMetadata"]["HTTPHeaders"].get("date", ""))
        if told is None:
            return Finding(Verdict.WARNING, "the server does not send its time")
        return judge_clock((told - midway).total_seconds())

    def _lifecycle(self) -> Finding:
        try:
            rules = self._rules()
        except StoreError as error:  # a run does not need this permission
            return Finding(Verdict.WARNING, f"unknown: {error.message}")
        days = [d for rule in rules if (d := days_to_abort(rule, self._address.prefix)) is not None]
        if days:
            return Finding(sentence=f"aborts uploads that are {min(days)} days old")
        return Finding(
            Verdict.WARNING,
            "none aborts interrupted uploads, whose parts are billed",
            self._rule_hint(OPEN_UPLOADS),
        )

    def _versioning(self) -> Finding:
        """Checks for versioning: with it, rotation only hides objects, which are still billed."""
        try:
            found = self._requests.ask(
                lambda client: client.get_bucket_versioning(Bucket=self._bucket)
            )
            # There is no status if it was never on; when suspended, old versions stay.
            is_on = "Status" in found
            rules = self._rules() if is_on else []
        except PermissionMissing:  # a run does not need this permission
            return Finding(sentence="this key may not read it")
        except StoreError as error:
            return Finding(Verdict.WARNING, f"unknown: {error.message}")
        if not is_on:
            return Finding(sentence="off: deleted files are gone")
        days = [d for rule in rules if (d := days_to_forget(rule, self._address.prefix))]
        if days:
            return Finding(sentence=f"old versions are deleted after {min(days)} days")
        return Finding(
            Verdict.WARNING,
            "the bucket keeps old versions, so rotated checkpoints are still billed",
            self._rule_hint(OLD_VERSIONS),
        )

    def _rules(self) -> "list[LifecycleRuleOutputTypeDef]":
        """The lifecycle rules; empty without a lifecycle."""
        try:
            found = self._requests.ask(
                lambda client: client.get_bucket_lifecycle_configuration(Bucket=self._bucket)
            )
        except KeyNotFound:
            return []
        return found.get("Rules", [])

    def reach(self) -> Finding:
        """Checks that the instance's key opens this store and nothing else."""
        try:
            buckets = self._requests.ask(lambda client: client.list_buckets()).get("Buckets", [])
        except PermissionMissing:
            buckets = []
        others = [bucket for bucket in buckets if bucket.get("Name") != self._bucket]
        if not others:
            return Finding(sentence="the key has access to no other bucket")
        more = f"{len(others):,} more bucket{'s' if len(others) > 1 else ''}"
        return Finding(
            Verdict.WARNING,
            f"the key has access to {more}, more than a run needs",
            f"make a key for instances that only has {NEEDED}",
        )

    def _rule_hint(self, action: dict[str, dict[str, int]]) -> str:
        """How to add a rule; put-… replaces all rules, so the others must be included."""
        prefix = self._address.prefix
        endpoint = self._address.endpoint_url
        rule = {"ID": f"fintts-{next(iter(action))}", "Status": "Enabled"}
        rules = {"Rules": [{**rule, "Filter": {"Prefix": prefix}, **action}]}
        return (
            "add one, with any other rules of the bucket in the same list: aws "
            f"{f'--endpoint-url {endpoint} ' if endpoint else ''}s3api "
            f"put-bucket-lifecycle-configuration --bucket {self._bucket} "
            f"--lifecycle-configuration '{json.dumps(rules)}'"
        )


def _moment(told: str) -> datetime | None:
    """A header's date; None if it is not a date."""
    try:
        return parsedate_to_datetime(told).astimezone(UTC)
    except ValueError:
        return None


def judge_clock(ahead_seconds: float) -> Finding:
    """The finding for a server clock that is this many seconds ahead of ours."""
    if abs(ahead_seconds) <= CLOCKS_AGREE_SECONDS:
        return Finding(sentence="the server's agrees with this machine's")
    way = "ahead of" if ahead_seconds > 0 else "behind"
    sentence = f"the server's is {abs(ahead_seconds):.0f} s {way} this machine's"
    if abs(ahead_seconds) < CLOCKS_DIFFER_SECONDS:
        return Finding(sentence=sentence)
    hint = "correct this machine's clock, for example with `timedatectl set-ntp true`"
    return Finding(Verdict.WARNING, sentence, hint)


def days_to_abort(rule: "LifecycleRuleOutputTypeDef", prefix: str) -> int | None:
    """After how many days a lifecycle rule aborts uploads below a prefix; None for never."""
    if not _covers(rule, prefix):
        return None
    return rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")


def days_to_forget(rule: "LifecycleRuleOutputTypeDef", prefix: str) -> int | None:
    """After how many days a rule deletes versions other than the newest; None for never."""
    if not _covers(rule, prefix):
        return None
    return rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")


def _covers(rule: "LifecycleRuleOutputTypeDef", prefix: str) -> bool:
    """Whether a rule applies to everything below a prefix."""
    chosen = rule.get("Filter", {})
    if rule.get("Status") != "Enabled" or chosen.keys() - {"Prefix"}:  # uploads have no tags
        return False
    # A prefix of the rule itself is the older form of the filter's.
    return prefix.startswith(rule.get("Prefix") or chosen.get("Prefix") or "")
