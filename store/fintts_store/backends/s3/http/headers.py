"""What requests say beside what they ask for: a digest of what they send, the encryption that a
policy wants, who pays.

A bucket whose Object Lock has a default retention takes nothing without a digest. MD5 is the one
that every server knows, and what it has received is compared with it.
"""

import base64
import hashlib
from io import BufferedReader
from typing import TYPE_CHECKING, Any

from fintts_store.backends.s3.addresses.address import S3Address

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def complete_requests(client: "S3Client", address: S3Address) -> None:
    """From now on, every call of this client says what it can say of it."""
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
    """As the header has it; a file is where it was afterwards."""
    if isinstance(body, bytes):
        digest = hashlib.md5(body, usedforsecurity=False)
    else:
        start = body.tell()
        digest = hashlib.file_digest(body, lambda: hashlib.md5(usedforsecurity=False))
        body.seek(start)
    return base64.b64encode(digest.digest()).decode()
