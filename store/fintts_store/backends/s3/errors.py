"""Turns what boto3 raises into sentences with a mend."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fintts_store.backends.s3.address import S3Address
from fintts_store.errors import (
    KeyExists,
    KeyExpired,
    KeyNotFound,
    NothingThere,
    PermissionMissing,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnreachable,
)

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

NOT_FOUND = {"NoSuchKey", "404", "NotFound", "NoSuchUpload"}
EXISTS = {"PreconditionFailed", "412"}
PAST_THE_END = {"InvalidRange", "416"}
FULL = {"QuotaExceeded", "XMinioStorageFull", "InsufficientCapacity"}
FORBIDDEN, EXPIRED = "AccessDenied", "ExpiredToken"
TOKEN = "AWS_SESSION_TOKEN"
"""a temporary key in the environment stays what it was; one of a profile may be renewed"""
AGAIN = "start the run again with a new key: it goes on from the newest committed checkpoint"
NEEDED = (
    "s3:GetObject, PutObject, DeleteObject and AbortMultipartUpload on the prefix, and "
    "s3:ListBucket and ListBucketMultipartUploads on the bucket"
)
"""The permissions that a run needs, and no more"""
DENIED = {
    "NoSuchBucket": ("there is no bucket {where}", "create it, or correct --store"),
    FORBIDDEN: (
        "{where} refuses {operation}",
        f"the key needs {NEEDED}",
    ),
    "InvalidAccessKeyId": (
        "{where} does not know the access key",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, for this server",
    ),
    "SignatureDoesNotMatch": (
        "{where} does not accept the secret key",
        "see that AWS_SECRET_ACCESS_KEY belongs to AWS_ACCESS_KEY_ID",
    ),
    EXPIRED: (
        "the credentials for {where} have expired",
        "sign in again (`aws sso login`), or set new ones",
    ),
    "RequestTimeTooSkewed": (
        "the clock of this machine differs too much from that of {where}",
        "set it right, for example with `timedatectl set-ntp true`",
    ),
    "PermanentRedirect": (
        "the bucket {where} is in another region",
        "set AWS_REGION to the bucket's region",
    ),
}
SAME_AS = {
    "403": FORBIDDEN,
    "Forbidden": FORBIDDEN,
    "AllAccessDisabled": FORBIDDEN,
    "InvalidToken": "ExpiredToken",
    "ExpiredTokenException": "ExpiredToken",
    "TokenRefreshRequired": "ExpiredToken",
    "RequestExpired": "RequestTimeTooSkewed",
    "AuthorizationHeaderMalformed": "PermanentRedirect",
    "IllegalLocationConstraintException": "PermanentRedirect",
    "301": "PermanentRedirect",
}
CONFLICT = 409
SERVER_ERRORS = 500
PASSING = {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"}


@contextmanager
def explained_by_s3(address: S3Address, key: str = "") -> Generator[None]:
    """Raises a StoreError for whatever boto3 raises about a key, or about the bucket."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _explain_answer(error, address, key) from error
    except (BotoCoreError, Boto3Error) as error:
        raise _explain_silence(error, address) from error


def _explain_answer(error: "ClientError", address: S3Address, key: str) -> StoreError:
    """The server answered, and the answer is an error."""
    answer = error.response
    code = answer.get("Error", {}).get("Code", "")
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = SAME_AS.get(code, code)
    if code in DENIED:
        sentence, hint = DENIED[code]
        text = sentence.format(where=address.where, operation=error.operation_name)
        if code == EXPIRED and TOKEN in os.environ:
            return KeyExpired(text, AGAIN)
        return (PermissionMissing if code == FORBIDDEN else StoreDenied)(text, hint)
    if code in NOT_FOUND:
        return KeyNotFound(f"{address.url} has no {key}")
    if code in EXISTS:
        return KeyExists(f"{key} is in {address.url} already")
    if code in PAST_THE_END:
        return NothingThere(f"{key} in {address.url} ends before it", "fetch it from its beginning")
    if code in FULL:
        return StoreFull(f"{address.where} has no space left", "free some, or raise its quota")
    if status >= SERVER_ERRORS or status == CONFLICT or code in PASSING:
        return StoreUnreachable(
            f"{address.where} answered {error.operation_name} with {status} {code}",
            "it is tried again",
        )
    message = answer.get("Error", {}).get("Message", "no message")
    return StoreDenied(f"{address.where} answered {error.operation_name} with {code}: {message}")


def _explain_silence(error: Exception, address: S3Address) -> StoreError:
    """No answer came, or the request could not even be made."""
    from botocore import exceptions as known

    if isinstance(error, (known.NoCredentialsError, known.PartialCredentialsError)):
        return StoreDenied(
            f"there are no credentials for {address.where}",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, "
            "or sign in with `aws sso login`",
        )
    if isinstance(error, (known.ProfileNotFound, known.TokenRetrievalError, known.SSOError)):
        return StoreDenied(f"{address.where}: {error}", "see `aws configure list-profiles`")
    if isinstance(error, known.SSLError):
        return StoreDenied(
            f"the certificate of {address.where} is not trusted: {_first_line(error)}",
            "set AWS_CA_BUNDLE to the file with the certificate of its authority",
        )
    if isinstance(error, (known.ConnectionError, known.HTTPClientError, known.IncompleteReadError)):
        return StoreUnreachable(
            f"{address.where} cannot be reached: {_first_line(error)}", "see whether it is up"
        )
    return StoreDenied(f"{address.where}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
