"""Lists a bucket page by page, and requests each page again until it is complete."""

from functools import partial
from typing import TYPE_CHECKING, Any

from fintts_store.backends.s3.http.errors import no_answer
from fintts_store.backends.s3.http.requests import S3Requests
from fintts_store.network.bounded import KeyCount
from fintts_store.runs.limits import EMPTY_PAGE_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import (
        ListMultipartUploadsOutputTypeDef,
        ListObjectsV2OutputTypeDef,
        MultipartUploadTypeDef,
    )


def object_pages(
    requests: S3Requests, prefix: str, delimiter: str = ""
) -> "Iterator[ListObjectsV2OutputTypeDef]":
    """All keys with a prefix; up to the delimiter, if there is one."""
    asked: dict[str, Any] = {"Bucket": requests.address.bucket, "Prefix": prefix}
    if delimiter:
        asked["Delimiter"] = delimiter
    seen, count = {""}, KeyCount(requests.address.where)
    token = ""
    while True:
        here = asked | ({"ContinuationToken": token} if token else {})
        page = requests.ask(partial(_list_objects, asked=here))
        found = len(page.get("Contents", [])) + len(page.get("CommonPrefixes", []))
        count.add(found or EMPTY_PAGE_KEYS)
        yield page
        token = page.get("NextContinuationToken", "") if page["IsTruncated"] else ""
        if not token:
            return
        _check_progress(requests, token, seen)


def _list_objects(client: "S3Client", asked: dict[str, Any]) -> "ListObjectsV2OutputTypeDef":
    return client.list_objects_v2(**asked)


def uploads(requests: S3Requests, prefix: str) -> "Iterator[MultipartUploadTypeDef]":
    """Every multipart upload that is neither complete nor aborted."""
    asked: dict[str, Any] = {"Bucket": requests.address.bucket, "Prefix": prefix}
    here, seen, count = asked, {""}, KeyCount(requests.address.where)
    while True:
        page = requests.ask(partial(_list_uploads, asked=here))
        count.add(len(page.get("Uploads", [])) or EMPTY_PAGE_KEYS)
        yield from page.get("Uploads", [])
        if not page.get("IsTruncated", False):
            return
        key, upload = page["NextKeyMarker"], page.get("NextUploadIdMarker", "")
        _check_progress(requests, f"{key}\n{upload}", seen)
        here = asked | {"KeyMarker": key} | ({"UploadIdMarker": upload} if upload else {})


def _list_uploads(client: "S3Client", asked: dict[str, Any]) -> "ListMultipartUploadsOutputTypeDef":
    return client.list_multipart_uploads(**asked)


def _check_progress(requests: S3Requests, token: str, seen: set[str]) -> None:
    if token in seen:
        raise no_answer(requests.address, "the same page of a listing twice")
    seen.add(token)
