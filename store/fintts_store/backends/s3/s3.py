"""The S3 store: objects of a bucket, on AWS or on a server that speaks its protocol."""

import hashlib
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.http.requests import S3Requests
from fintts_store.backends.s3.listing import object_pages, uploads
from fintts_store.backends.s3.probes import S3Probes
from fintts_store.backends.s3.transfer.parts import PARTS, Parts
from fintts_store.backends.s3.transfer.reading import S3Reading
from fintts_store.backends.s3.transfer.uploading import Upload
from fintts_store.disk.errors import explained
from fintts_store.errors import (
    InvalidRecord,
    KeyExists,
    KeyNotFound,
    NoExclusiveCreate,
    PermissionMissing,
    StoreUnreachable,
    Unsupported,
)
from fintts_store.network.patience import PATIENT, Patience
from fintts_store.probes.promise import WAY_OUT, has_single_writer
from fintts_store.runs.limits import RECORD_BYTES
from fintts_store.store import (
    Entries,
    Entry,
    Names,
    check_key,
    check_prefix,
    check_source,
    is_relative_name,
    read_all,
    spare_none,
)

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef


_MD5 = re.compile('"?([0-9a-f]{32})"?')


class S3Store:
    """Keeps each key in its own object; Store documents the methods.

    `create` relies on conditional writes (If-None-Match), of which the server must let exactly
    one succeed: AWS, R2, MinIO and Ceph do. On a server without them, such as Backblaze's, it
    checks first and writes afterwards, in a store with a single writer.
    """

    def __init__(
        self,
        address: S3Address,
        patience: Patience = PATIENT,
        variables: Mapping[str, str] | None = None,
        parts: Parts = PARTS,
    ) -> None:
        """Uses the credentials that boto3 finds, or those in these environment variables."""
        self._address = address
        self._bucket = address.bucket
        self._requests = S3Requests(address, patience, variables)
        self._parts = parts
        self._etags_are_digests = True

    @property
    def url(self) -> str:
        return self._address.url

    @property
    def probes(self) -> S3Probes:
        """The additional probes of an S3 store."""
        return S3Probes(self._requests)

    def server(self) -> str:
        """The server's address, and the name and version that it reports."""
        name = self._headers().get("server", "")
        return f"{self._address.endpoint_url or 'AWS'} {name}".strip()

    def clock(self, within: str = "") -> datetime | None:
        """The time in an answer's Date; None without a valid one."""
        try:
            return parsedate_to_datetime(self._headers(within).get("date", "")).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def _headers(self, within: str = "") -> dict[str, str]:
        """The headers of the smallest answer that every server gives."""
        answer = self._requests.ask(
            lambda client: client.list_objects_v2(
                Bucket=self._bucket, Prefix=self._address.prefix + within, MaxKeys=1
            )
        )
        return answer["ResponseMetadata"]["HTTPHeaders"]

    def put(self, key: str, source: bytes | Path) -> None:
        upload = Upload(self._requests, self._name(key), key, self._parts)
        if isinstance(source, bytes):
            upload.put(source)
            return
        with explained(source):
            check_source(source)
            with source.open("rb") as file:
                upload.put_file(file)

    def create(self, key: str, data: bytes) -> None:
        name, tries = self._name(key), self._requests.patience.tries
        for attempt in range(tries):
            try:
                self._create_once(key, name, data)
            except StoreUnreachable:
                # Includes the 409 of two simultaneous writers, of which one tries again.
                if attempt == tries - 1:
                    raise
                self._requests.pause(attempt + 1)
            except KeyExists:
                if attempt and self._holds(key, data):  # an earlier try, whose answer was lost
                    return
                raise
            else:
                return

    def _create_once(self, key: str, name: str, data: bytes) -> None:
        def put(client: "S3Client") -> None:
            client.put_object(Bucket=self._bucket, Key=name, Body=data, IfNoneMatch="*")

        try:
            self._requests.ask(put, key, tries_again_itself=True)
        except Unsupported as error:
            self._create_alone(key, name, data, error)

    def _create_alone(self, key: str, name: str, data: bytes, why: Unsupported) -> None:
        if not has_single_writer(self, key):
            raise NoExclusiveCreate(
                f"{why.message}; without conditional writes two instances could overwrite each "
                "other's run",
                WAY_OUT,
            ) from why
        if self._requests.has(name):
            raise KeyExists(f"{key} already exists in {self.url}")
        Upload(self._requests, name, key).put(data)

    def _holds(self, key: str, data: bytes) -> bool:
        """Whether the object has exactly these bytes."""
        try:
            return self.get(key, len(data)) == data
        except InvalidRecord:  # more bytes
            return False

    def get(self, key: str, limit_bytes: int = RECORD_BYTES) -> bytes:
        """Detects a bit flipped in transit by the ETag, if that is the content's digest."""
        data, tag = self._read(key, limit_bytes)
        if not self._etags_are_digests or _may_be_of(data, tag):
            return data
        again, _ = self._read(key, limit_bytes)
        if again == data:  # the server encrypts, and its tags are not MD5
            self._etags_are_digests = False
        return again

    def _read(self, key: str, limit_bytes: int) -> tuple[bytes, str]:
        reading = self._reading(key, 0)
        with closing(reading.chunks()) as chunks:
            return read_all(chunks, limit_bytes, f"{self.url}/{key}"), reading.tag

    def stream(self, key: str, start: int = 0) -> Generator[bytes]:
        """Resumes after a broken connection at the same byte of the same object."""
        return self._reading(key, start).chunks()

    def _reading(self, key: str, start: int) -> S3Reading:
        return S3Reading(key, start, partial(self._open, key), self._requests.patience)

    def list(self, prefix: str) -> Entries:
        found: Entries = []
        for page in object_pages(self._requests, self._prefix(prefix)):
            for item in page.get("Contents", []):
                key = item.get("Key", "").removeprefix(self._address.prefix)
                if is_relative_name(key):  # otherwise a folder made in a console
                    found.append(Entry(key, item.get("Size", 0)))
        return sorted(found, key=lambda entry: entry.key)

    def folders(self, prefix: str) -> Names:
        whole = self._prefix(prefix)
        return sorted(
            item.get("Prefix", "").removeprefix(whole).rstrip("/")
            for page in object_pages(self._requests, whole, delimiter="/")
            for item in page.get("CommonPrefixes", [])
        )

    def delete(self, key: str) -> None:
        name = self._name(key)
        self._requests.ask(lambda client: client.delete_object(Bucket=self._bucket, Key=name), key)

    def unfinished(self, prefix: str) -> Names:
        return sorted(key for key, _ in self._uploads(prefix))

    def discard_unfinished(self, prefix: str, spare: Callable[[str], bool] = spare_none) -> None:
        for key, upload in tuple(self._uploads(prefix)):
            if not spare(key):
                self._requests.abort(self._address.prefix + key, upload)

    def _uploads(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Key and id of each multipart upload that is neither complete nor aborted."""
        for upload in uploads(self._requests, self._prefix(prefix)):
            key = upload.get("Key", "").removeprefix(self._address.prefix)
            yield key, upload.get("UploadId", "")

    @contextmanager
    def _open(self, key: str, wanted: str, tag: str) -> "Generator[GetObjectOutputTypeDef]":
        """The answer for a range of an object; also explains errors during reading."""
        condition: dict[str, Any] = {"Range": wanted} | ({"IfMatch": tag} if tag else {})
        name = self._name(key)

        def get(client: "S3Client") -> "GetObjectOutputTypeDef":
            return client.get_object(Bucket=self._bucket, Key=name, **condition)

        with self._missing_or_forbidden(key):
            answer = self._requests.ask(get, key, tries_again_itself=True)
        with self._requests.explained(key):
            yield answer

    @contextmanager
    def _missing_or_forbidden(self, key: str) -> Generator[None]:
        """AWS refuses a missing object if the key may list only a part of the bucket; listing that
        part distinguishes it from an object that the key may not read."""
        try:
            yield
        except PermissionMissing:
            if self._requests.has(self._name(key)):
                raise
            raise KeyNotFound(f"{self.url} has no {key}") from None

    def _name(self, key: str) -> str:
        return self._address.prefix + check_key(key)

    def _prefix(self, prefix: str) -> str:
        return self._address.prefix + check_prefix(prefix)


def _may_be_of(data: bytes, tag: str) -> bool:
    """Whether a tag is the MD5 of these bytes, or not an MD5."""
    found = _MD5.fullmatch(tag)
    return found is None or found[1] == hashlib.md5(data, usedforsecurity=False).hexdigest()
