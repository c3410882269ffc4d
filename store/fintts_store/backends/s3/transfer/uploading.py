"""Sends bytes to S3: a small object with one request, a large file in parts."""

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from fintts_store.backends.s3.http.requests import S3Requests
from fintts_store.backends.s3.transfer.parts import PARTS, Parts
from fintts_store.errors import KeyNotFound, StoreError
from fintts_store.network.parallel import in_parallel

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, PutObjectOutputTypeDef

PARTS_AT_ONCE = 4
MOST_PARTS = 10_000


class Upload:
    """The upload of one object."""

    def __init__(self, requests: S3Requests, name: str, key: str, parts: Parts = PARTS) -> None:
        self._requests, self._name, self._key, self._parts = requests, name, key, parts
        self._bucket = requests.address.bucket

    def put(self, data: bytes) -> None:
        """Uploads with one request."""
        self._requests.ask(
            lambda client: client.put_object(Bucket=self._bucket, Key=self._name, Body=data),
            self._key,
        )

    def put_file(self, file: BinaryIO) -> None:
        """Uploads with as many requests as the size needs; a failure leaves no parts behind."""
        size = os.fstat(file.fileno()).st_size
        if size < self._parts.single_put_below:
            self._requests.ask(partial(self._put, file=file), self._key)
        else:
            self._in_parts(file, size)

    def _put(self, client: "S3Client", file: BinaryIO) -> "PutObjectOutputTypeDef":
        file.seek(0)
        return client.put_object(Bucket=self._bucket, Key=self._name, Body=file)

    def _in_parts(self, file: BinaryIO, size: int) -> None:
        part_bytes = max(self._parts.part_bytes, -(-size // MOST_PARTS))
        firsts = range(0, size, part_bytes)
        tags: dict[int, str] = {}
        with self._begun() as upload:

            def send(first: int, stop: threading.Event) -> None:
                if not stop.is_set():
                    data = os.pread(file.fileno(), part_bytes, first)
                    number = first // part_bytes + 1
                    tags[number] = self._send_part(upload, number, data)

            in_parallel(send, firsts, at_once=PARTS_AT_ONCE)
            self._complete(upload, tags)

    @contextmanager
    def _begun(self) -> Generator[str]:
        """Yields an upload's id; aborts the upload if the block fails."""
        began = self._requests.ask(
            lambda client: client.create_multipart_upload(Bucket=self._bucket, Key=self._name),
            self._key,
        )
        upload = began["UploadId"]
        try:
            yield upload
        except BaseException:
            with suppress(StoreError):  # the first error is more informative
                self._requests.abort(self._name, upload)
            raise

    def _send_part(self, upload: str, number: int, data: bytes) -> str:
        sent = self._requests.ask(
            lambda client: client.upload_part(
                Bucket=self._bucket,
                Key=self._name,
                UploadId=upload,
                PartNumber=number,
                Body=data,
            ),
            self._key,
        )
        return sent["ETag"]

    def _complete(self, upload: str, tags: dict[int, str]) -> None:
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": tags[number]} for number in sorted(tags)
        ]
        try:
            self._requests.ask(
                lambda client: client.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=self._name,
                    UploadId=upload,
                    MultipartUpload={"Parts": parts},
                ),
                self._key,
            )
        except KeyNotFound:  # a try whose answer was lost has completed it
            if not self._requests.has(self._name):
                raise
