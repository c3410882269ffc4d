"""Checks the answers of S3; anything malformed did not come from the store.

A hotel's login page, a page that ends after its headers, and a proxy's error are all HTTP answers.
boto3 reads most of them as success: a listing without keys, or a stored object. This module checks
every answer.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

REGION = "x-amz-bucket-region"
ROOTS = {
    "ListObjectsV2": (b"ListBucketResult",),
    "ListMultipartUploads": (b"ListMultipartUploadsResult",),
    "CreateMultipartUpload": (b"InitiateMultipartUploadResult",),
    "CompleteMultipartUpload": (b"CompleteMultipartUploadResult",),
    "GetBucketLifecycleConfiguration": (b"LifecycleConfiguration",),
    "GetBucketVersioning": (b"VersioningConfiguration", b"GetBucketVersioningResponse"),
    "ListBuckets": (b"ListAllMyBucketsResult",),
}
"""The root element of each operation's answer; moto's differ"""
MARKS = {
    "ListObjectsV2": ("Name", "KeyCount", "IsTruncated"),
    "ListMultipartUploads": ("Bucket",),
    "CreateMultipartUpload": ("UploadId",),
    "UploadPart": ("ETag",),
    "CompleteMultipartUpload": ("ETag",),
    "PutObject": ("ETag",),
    "GetObject": ("ETag", "ContentLength"),
}
"""The fields that an answer must have"""
PARTS = {
    ("ListObjectsV2", "Contents"): ("Key", "Size"),
    ("ListObjectsV2", "CommonPrefixes"): ("Prefix",),
    ("ListMultipartUploads", "Uploads"): ("Key", "UploadId"),
}
"""The fields that each element of a list must have"""
NEXT = {
    "ListObjectsV2": "NextContinuationToken",
    "ListMultipartUploads": "NextKeyMarker",
}
"""The field with the start of the next page"""
STATUSES = {"GetObject": (200, 206), "DeleteObject": (204,), "AbortMultipartUpload": (204,)}
"""status codes of success other than 200"""
BODILESS = ("HeadBucket", "HeadObject")
"""operations whose answers have no document, not even errors"""
PASSING_STATUSES = (408, 425, 429)
LONGEST_TEXT = 100
_TITLE, _TAG = re.compile(rb"<title>(.*?)</title>", re.I | re.S), re.compile(rb"<[^>]*>")
_FIRST_ELEMENT = re.compile(
    rb"(?:\s|\xef\xbb\xbf|<\?[^>]*\?>|<!--.*?-->|<!doctype[^>]*>)*<([a-z0-9]+)", re.I | re.S
)


class NoAnswer(Exception):
    """The answer is not S3's; the message says what it is."""


class NotInItsWords(NoAnswer):
    """A refusal without S3's document, from a proxy or a server's front end.

    Attributes:
        text: its readable text, in one line.
    """

    def __init__(self, operation: str, status: int, body: bytes) -> None:
        self.operation, self.status, self.text = operation, status, _readable(body)
        super().__init__(f"{status} without a document of S3: {self.text}")


class OtherRegion(NoAnswer):
    """The bucket is in another region, but the server does not say in which."""


def check_answers(client: "S3Client") -> None:
    """Makes every call of this client raise NoAnswer for anything that is not S3's answer."""
    client.meta.events.register_last("before-parse.s3", _check_form)
    client.meta.events.register_first("after-call.s3", _check_content)


def _check_form(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Checks the answer before boto3 parses it."""
    operation: str = operation_model.name
    status: int = response_dict["status_code"]
    headers: Mapping[str, str] = response_dict["headers"]
    body = response_dict["body"]
    if status // 100 == 3 and REGION not in headers:
        raise _redirect(status, headers, body)
    if not isinstance(body, bytes):  # of an object: who reads it counts the bytes
        _check_status(operation, status)
        _check_kind(headers)
        return
    _check_length(headers, body)
    if status < 300:
        _check_status(operation, status)
        _check_document(operation, body)
    elif operation not in BODILESS and root_of(body) != b"Error":
        _check_refusal(operation, status, body)


def _check_kind(headers: Mapping[str, str]) -> None:
    """Refuses a page that has the headers of an object."""
    if headers.get("content-type", "").startswith("text/html"):
        raise NoAnswer("a page of HTML")


def _check_refusal(operation: str, status: int, body: bytes) -> None:
    """Refuses an error without S3's document. Server errors pass, and an empty one may be S3's."""
    if status == 404:
        raise NoAnswer("404 without a document of S3")
    if 400 <= status < 500 and status not in PASSING_STATUSES and body.strip():
        raise NotInItsWords(operation, status, body)


def _readable(body: bytes) -> str:
    """The title of a page, or the start of a text."""
    title = _TITLE.search(body)
    text = _TAG.sub(b" ", title[1] if title else body).decode(errors="replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST_TEXT]


def _redirect(status: int, headers: Mapping[str, str], body: object) -> NoAnswer:
    """Refuses a redirect without the bucket's region, for which boto3 would ask the same server
    repeatedly."""
    if isinstance(body, bytes) and b"<Code>PermanentRedirect</Code>" in body:
        return OtherRegion(f"{status}, PermanentRedirect")
    return NoAnswer(f"{status}, a redirect to {headers.get('location', 'nowhere')}")


def _check_status(operation: str, status: int) -> None:
    if status < 300 and status not in STATUSES.get(operation, (200,)):
        raise NoAnswer(f"{status}, which S3 never sends")


def _check_length(headers: Mapping[str, str], body: bytes) -> None:
    promised = headers.get("content-length", "")
    if promised.isdigit() and int(promised) != len(body):
        raise NoAnswer(f"{len(body):,} of {int(promised):,} bytes")


def _check_document(operation: str, body: bytes) -> None:
    expected = ROOTS.get(operation)
    root = root_of(body)
    if expected is None:
        if root.lower() == b"html":
            raise NoAnswer(_instead(body))
        return
    if root not in expected:
        raise NoAnswer(_instead(body))
    if not _is_whole(root, body):
        raise NoAnswer("a truncated document")


def root_of(body: bytes) -> bytes:
    """The name of the first element; empty if there is none."""
    match = _FIRST_ELEMENT.match(body)
    return match[1] if match else b""


def _is_whole(root: bytes, body: bytes) -> bool:
    end = body.rstrip()
    if re.search(rb"</" + root + rb"\s*>$", end[-100:]):
        return True
    return end.endswith(b"/>") and end.rpartition(b"<")[2].startswith(root)


def _instead(body: bytes) -> str:
    found = root_of(body)
    if found:
        return f"a document <{found.decode()}>"
    return "something other than XML" if body.strip() else "an empty answer"


def _check_content(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
    """Checks the answer after boto3 has parsed it."""
    operation: str = model.name
    if http_response.status_code >= 300 or "Error" in parsed:
        return
    for name in _missing(operation, http_response.status_code, parsed):
        raise NoAnswer(f"an answer without {name}")


def _missing(operation: str, status: int, parsed: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in MARKS.get(operation, ()) if parsed.get(name) in (None, ""))
    for (of, part), names in PARTS.items():
        if of == operation:
            yield from (name for one in parsed.get(part, []) for name in names if name not in one)
    if operation == "GetObject" and status == 206 and not parsed.get("ContentRange"):
        yield "ContentRange"
    following = NEXT.get(operation)
    if following and parsed.get("IsTruncated") and not parsed.get(following):
        yield following
