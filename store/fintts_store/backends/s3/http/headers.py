"""Adds headers to requests: a digest of the content, the encryption that a policy requires, and who
pays.

A bucket with Object Lock and a default retention accepts nothing without a digest. Every server
supports MD5, and compares it with the received content.
"""

import base64
import hashlib
from io import BufferedReader
from typing import TYPE_CHECKING, Any

from fintts_store.backends.s3.addresses.address import S3Address

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def complete_requests(client: "S3Client", address: S3Address) -> None:
    """Adds the headers to every call of this client."""
    said = {
        "ServerSideEncryption": address.sse,
        "SSEKMSKeyId": address.sse_kms_key_id,
        "RequestPayer": address.request_payer,
    }

    def complete(params: dict[str, Any], model: Any, **_: Any) -> None:
        names = model.input_shape.members
        params.update({name: value for name, value in said.items() if value and name in names})
        if "ContentMD5" in names and "Body" in params:
            params["ContentMD5"] = _md5(params["Body"])

    client.meta.events.register("before-parameter-build.s3", complete)


def _md5(body: bytes | BufferedReader) -> str:
    """The digest in the header's format; keeps a file's position."""
    if isinstance(body, bytes):
        digest = hashlib.md5(body, usedforsecurity=False)
    else:
        start = body.tell()
        digest = hashlib.file_digest(body, lambda: hashlib.md5(usedforsecurity=False))
        body.seek(start)
    return base64.b64encode(digest.digest()).decode()
