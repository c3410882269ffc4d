"""Finds out why a server refused a request, and what to do about it.

There are few codes: a full bucket, a policy that requires encryption and a missing permission are
all AccessDenied. Only the server's message tells them apart.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from fintts_store.backends.s3.addresses.address import S3Address

Told = Mapping[str, object]
"""the elements of an error's document: Code, Message, and sometimes Region"""
NEEDED = (
    "s3:GetObject, PutObject, DeleteObject and AbortMultipartUpload on the prefix, and "
    "s3:ListBucket and ListBucketMultipartUploads on the bucket"
)
"""The permissions that a run needs, and no more"""
WRITES = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")
LONGEST_REASON = 300
"""characters of a server's message; AWS's longest names a user, an action and a resource"""
FULL_CODES = ("QuotaExceeded", "StorageFull", "InsufficientCapacity", "InsufficientStorage")
"""suffixes of a code; MinIO's codes start with XMinio"""
FULL_STATUS = 507
_FULL = re.compile(
    r"\b(quota|cap|storage limit)\b.*\b(exceed|reach)"
    r"|\b(exceed|reach)\w* .*\b(quota|storage limit)\b|insufficient storage|no space left",
    re.I | re.S,
)
_REGION = re.compile(r"expect(?:ing|ed):? '(?:\d{8}/)?([a-z0-9-]+)(?:/s3/aws4_request)?'")
"""the wording of AWS, and of Garage: `expected: '20260101/garage/s3/aws4_request'`"""
_REGION_NAME = re.compile("[a-z0-9-]{1,63}")
WRONG_REGION = "AuthorizationHeaderMalformed"
_SAYS_NOTHING = re.compile(r"(unknown|forbidden|access ?denied|no message)?[.!]?", re.I)


def reason(told: Told) -> str:
    """The server's message in one line; empty if it says no more than the code."""
    message = str(told.get("Message") or "")
    line = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    return "" if _SAYS_NOTHING.fullmatch(line) else line[:LONGEST_REASON].rstrip(".")


def is_full(operation: str, code: str, status: int, said: str) -> bool:
    """Whether a write was refused because the store is full, or its quota is used up."""
    if operation not in WRITES:
        return False
    return status == FULL_STATUS or code.endswith(FULL_CODES) or _FULL.search(said) is not None


def region_named_in(told: Told) -> str:
    """The region for which the server wants requests to be signed; empty if it names none."""
    if told.get("Code") != WRONG_REGION:
        return ""
    named = str(told.get("Region") or "")
    match = _REGION.search(str(told.get("Message") or ""))
    region = named or (match[1] if match else "")
    return region if _REGION_NAME.fullmatch(region) else ""


def hint_for_forbidden(address: S3Address, operation: str, said: str) -> str:
    """What to do about AccessDenied."""
    if "kms:" in said:
        named = address.url if address.sse else replace(address, sse="aws:kms").url
        return (
            "allow your key kms:GenerateDataKey and kms:Decrypt on that KMS key; if an "
            f"instance's key is refused, add it to the address: {named}"
        )
    if re.search("requester.?pay", said, re.I):
        return _to_pay(address)
    hints = [f"the key needs {NEEDED}"]
    if operation in WRITES and not address.sse:
        hints.insert(0 if "explicit deny" in said else 1, _to_encrypt(address))
    if not said and not address.request_payer:
        hints.append(f"if the requester pays for the bucket, {_to_pay(address)}")
    return "; ".join(hints)


def _to_encrypt(address: S3Address) -> str:
    encrypting = replace(address, sse="aws:kms").url
    return (
        f"if a policy requires an encryption header, add it to the address: {encrypting} (or "
        "sse=AES256; &sse_kms_key_id=ID for a key of your own)"
    )


def _to_pay(address: S3Address) -> str:
    paying = replace(address, request_payer="requester").url
    return f"add it to the address, and your account pays: {paying}"


def hint_for_region(address: S3Address) -> str:
    """What to do if a server does not name its region."""
    named = replace(address, region="REGION").url
    return f"add its region to the address, {named}, or set AWS_DEFAULT_REGION"
