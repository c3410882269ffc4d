"""The S3 store: objects of a bucket, on AWS or on a server that speaks its protocol.

The only file that imports boto3, which takes a third of a second: it is imported when it is used.
"""

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from fintts_store.backends.s3.address import S3Address
from fintts_store.backends.s3.errors import explained_by_s3
from fintts_store.backends.s3.probes import S3Probes
from fintts_store.backends.s3.reading import ATTEMPTS, S3Reading, pause
from fintts_store.disk.errors import explained
from fintts_store.errors import (
    KeyNotFound,
    PermissionMissing,
    StoreError,
    StoreUnreachable,
)
from fintts_store.runs.limits import RECORD_BYTES
from fintts_store.store import (
    Entries,
    Entry,
    Names,
    check_key,
    check_prefix,
    is_relative_name,
    nobody,
    read_all,
)

if TYPE_CHECKING:
    from boto3.s3.transfer import TransferConfig
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

# Inside the class `list` is the method.
Uploads: TypeAlias = list[tuple[str, str]]

MB = 1024 * 1024
SINGLE_PUT_BELOW = 64 * MB
PART_BYTES = 16 * MB
PARTS_AT_ONCE = 4
CONNECTIONS = 16
CONNECT_SECONDS, READ_SECONDS = 10, 60


class S3Store:
    """Keeps each key in an object of its own; see Store for what its methods do.

    `create` relies on conditional writes (If-None-Match), of which the server must let exactly
    one win: AWS, R2, MinIO and Ceph do.
    """

    def __init__(self, address: S3Address) -> None:
        self._address = address
        self._bucket = address.bucket

    @property
    def url(self) -> str:
        return self._address.url

    @property
    def probes(self) -> S3Probes:
        """What is to be probed of this kind of store alone."""
        return S3Probes(self._client, self._address)

    def put(self, key: str, source: bytes | Path) -> None:
        if isinstance(source, bytes):
            with explained_by_s3(self._address, key):
                self._client.put_object(Bucket=self._bucket, Key=self._name(key), Body=source)
            return
        with explained(source):
            if not source.is_file():
                raise StoreError(f"there is no file {source} to store", "see whether it was moved")
        # The store's errors are told first: some of boto3's are OSErrors, too.
        with explained(source), source.open("rb") as file, explained_by_s3(self._address, key):
            # One request below the threshold, else parts, which are aborted when one fails.
            self._client.upload_fileobj(
                file, self._bucket, self._name(key), Config=self._transfer_config
            )

    def create(self, key: str, data: bytes) -> None:
        name = self._name(key)
        for attempt in range(ATTEMPTS):
            try:
                with explained_by_s3(self._address, key):
                    self._client.put_object(
                        Bucket=self._bucket, Key=name, Body=data, IfNoneMatch="*"
                    )
            except StoreUnreachable:
                # Among them the 409 of two writers at the same moment: one of them is asked again.
                if attempt == ATTEMPTS - 1:
                    raise
                pause(attempt)
            else:
                return

    def get(self, key: str, limit_bytes: int = RECORD_BYTES) -> bytes:
        with closing(self.stream(key)) as chunks:
            return read_all(chunks, limit_bytes, f"{self.url}/{key}")

    def stream(self, key: str, start: int = 0) -> Generator[bytes]:
        """A connection that breaks in the middle is taken up where it broke, for the same bytes."""
        return S3Reading(key, start, partial(self._open, key)).chunks()

    def list(self, prefix: str) -> Entries:
        found: Entries = []
        with explained_by_s3(self._address):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix(prefix)
            )
            for page in pages:
                for item in page.get("Contents", []):
                    key = item.get("Key", "").removeprefix(self._address.prefix)
                    if is_relative_name(key):  # else a folder that a console made
                        found.append(Entry(key, item.get("Size", 0)))
        return sorted(found, key=lambda entry: entry.key)

    def folders(self, prefix: str) -> Names:
        found: Names = []
        whole = self._prefix(prefix)
        with explained_by_s3(self._address):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=whole, Delimiter="/"
            )
            for page in pages:
                for item in page.get("CommonPrefixes", []):
                    found.append(item.get("Prefix", "").removeprefix(whole).rstrip("/"))
        return sorted(found)

    def delete(self, key: str) -> None:
        with explained_by_s3(self._address, key):
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))

    def unfinished(self, prefix: str) -> Names:
        return sorted(key for key, _ in self._uploads(prefix))

    def discard_unfinished(self, prefix: str, spare: Callable[[str], bool] = nobody) -> None:
        for key, upload in self._uploads(prefix):
            if not spare(key):
                self._abort(self._address.prefix + key, upload)

    def _uploads(self, prefix: str) -> Uploads:
        """Key and id of each multipart upload that is neither complete nor aborted."""
        found: Uploads = []
        with explained_by_s3(self._address):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix(prefix)
            )
            for page in pages:
                for upload in page.get("Uploads", []):
                    key = upload.get("Key", "").removeprefix(self._address.prefix)
                    found.append((key, upload.get("UploadId", "")))
        return found

    @contextmanager
    def _open(self, key: str, wanted: str, tag: str) -> "Generator[GetObjectOutputTypeDef]":
        """The answer for a range of an object; errors while it is read are explained, too."""
        condition: dict[str, Any] = {"Range": wanted} if wanted else {}
        if tag:
            condition["IfMatch"] = tag
        with self._missing_told(key), explained_by_s3(self._address, key):
            yield self._client.get_object(Bucket=self._bucket, Key=self._name(key), **condition)

    @contextmanager
    def _missing_told(self, key: str) -> Generator[None]:
        """AWS refuses a missing object to those who may list a part of the bucket only: a listing
        of that part tells it from one that may not be read."""
        try:
            yield
        except PermissionMissing:
            name = self._name(key)
            with explained_by_s3(self._address):
                found = self._client.list_objects_v2(Bucket=self._bucket, Prefix=name, MaxKeys=1)
            if any(item.get("Key") == name for item in found.get("Contents", [])):
                raise
            raise KeyNotFound(f"{self.url} has no {key}") from None

    def _abort(self, name: str, upload: str) -> None:
        try:
            with explained_by_s3(self._address):
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=name, UploadId=upload)
        except KeyNotFound:  # finished or aborted since the listing
            return

    def _name(self, key: str) -> str:
        return self._address.prefix + check_key(key)

    def _prefix(self, prefix: str) -> str:
        return self._address.prefix + check_prefix(prefix)

    @cached_property
    def _client(self) -> "S3Client":
        import boto3
        from botocore.config import Config

        with explained_by_s3(self._address):
            # A session of its own: boto3's default one may not be shared by threads while it
            # makes a client. A client may.
            return boto3.session.Session().client(  # pyright: ignore[reportUnknownMemberType] # stubs of S3 alone
                "s3",
                endpoint_url=self._address.endpoint_url,
                region_name=self._address.region,
                config=Config(
                    retries={"mode": "standard", "max_attempts": ATTEMPTS},
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    max_pool_connections=CONNECTIONS,
                    # The default sends a checksum behind the body, and Ceph answers that with 411.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    s3={"addressing_style": self._address.addressing},
                ),
            )

    @cached_property
    def _transfer_config(self) -> "TransferConfig":
        from boto3.s3.transfer import TransferConfig

        return TransferConfig(
            multipart_threshold=SINGLE_PUT_BELOW,
            multipart_chunksize=PART_BYTES,
            max_concurrency=PARTS_AT_ONCE,
            io_chunksize=MB,
            preferred_transfer_client="classic",  # the other one ignores endpoint_url
        )
