"""Turns what boto3 raises into sentences with a mend."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fintts_store.backends.s3.address import S3Address
from fintts_store.backends.s3.answers import NoAnswer, OtherRegion
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

NOT_FOUND = {"NoSuchKey", "404", "NotFound", "NoSuchUpload", "NoSuchLifecycleConfiguration"}
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
    "NoSuchBucket": ("there is no bucket {where}", "create it, or correct its name"),
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
    "EntityTooLarge": (
        "{where} does not take requests that large ({operation})",
        "raise the limit of the server, or of the proxy in front of it",
    ),
    "NotImplemented": (
        "{where} does not know {operation} as runs need it",
        "use a server with conditional writes and uploads in parts: `fintts store check` tries it",
    ),
    "PermanentRedirect": (
        "the bucket {where} is in another region",
        "set AWS_REGION to the bucket's region",
    ),
}
SAME_AS = {
    "403": FORBIDDEN,
    "413": "EntityTooLarge",
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
PASSING = {
    *("RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"),
    *("408", "425", "429"),
    # Damage on the way.
    *("XAmzContentSHA256Mismatch", "BadDigest", "InvalidDigest", "IncompleteBody"),
}
DOUBTFUL_STATUSES = {400, 403, 404}
CERTAIN = {
    *("ExpiredToken", "ExpiredTokenException", "InvalidToken", "RequestTimeTooSkewed"),
    *("NoSuchUpload", "EntityTooLarge", "AuthorizationHeaderMalformed"),
}
"""What a second try would hear again"""
MISREAD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What boto3 raises about an answer that it did not expect"""


@contextmanager
def explained_by_s3(address: S3Address, key: str = "") -> Generator[None]:
    """Raises a StoreError for whatever boto3 raises about a key, or about the bucket."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _explain_answer(error, address, key) from error
    except BotoCoreError as error:
        raise _explain_silence(error, address) from error
    except OtherRegion as error:
        raise in_another_region(address) from error
    except NoAnswer as error:
        raise no_answer(address, str(error)) from error
    except MISREAD as error:
        what = f"something that cannot be read ({type(error).__name__}: {_first_line(error)})"
        raise no_answer(address, what) from error


def in_another_region(address: S3Address) -> StoreDenied:
    sentence, hint = DENIED["PermanentRedirect"]
    return StoreDenied(sentence.format(where=address.where), hint)


def no_answer(address: S3Address, what: str) -> StoreUnreachable:
    """What came says nothing about the store."""
    return StoreUnreachable(
        f"{address.where} does not answer as S3 does: it sent {what}",
        "see that the address is right, and that no login page or proxy answers in its place",
    )


def deserves_a_second_try(error: StoreError) -> bool:
    """Whether a refusal may be damage on the way, such as a header with one bit flipped."""
    from botocore.exceptions import ClientError

    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return False
    code, status = _code_and_status(cause)
    return status in DOUBTFUL_STATUSES and code not in CERTAIN


def _code_and_status(error: "ClientError") -> tuple[str, int]:
    answer = error.response
    code = answer.get("Error", {}).get("Code", "")
    return code, int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _explain_answer(error: "ClientError", address: S3Address, key: str) -> StoreError:
    """The server answered, and the answer is an error."""
    code, status = _code_and_status(error)
    code = SAME_AS.get(code, code)
    if code in DENIED:
        return _refusal(code, error.operation_name, address)
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
            "it may be overloaded or restarting: try again later",
        )
    message = error.response.get("Error", {}).get("Message", "no message")
    return StoreDenied(f"{address.where} answered {error.operation_name} with {code}: {message}")


def _refusal(code: str, operation: str, address: S3Address) -> StoreDenied:
    sentence, hint = DENIED[code]
    text = sentence.format(where=address.where, operation=operation)
    if code == EXPIRED and TOKEN in os.environ:
        return KeyExpired(text, AGAIN)
    return (PermissionMissing if code == FORBIDDEN else StoreDenied)(text, hint)


def _explain_silence(error: Exception, address: S3Address) -> StoreError:
    """No answer came, or the request could not even be made."""
    from botocore import exceptions as known
    from botocore import parsers

    if isinstance(error, (known.NoCredentialsError, known.PartialCredentialsError)):
        return StoreDenied(
            f"there are no credentials for {address.where}",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, "
            "or sign in with `aws sso login`",
        )
    if isinstance(error, (known.TokenRetrievalError, known.SSOError)):
        return StoreDenied(f"{address.where}: {_first_line(error)}", "sign in with `aws sso login`")
    if isinstance(error, known.SSLError):
        return StoreDenied(
            f"the certificate of {address.where} is not trusted: {_first_line(error)}",
            "set AWS_CA_BUNDLE to the file with the certificate of its authority",
        )
    if isinstance(error, (known.ConnectionError, known.HTTPClientError, known.IncompleteReadError)):
        return StoreUnreachable(
            f"{address.where} cannot be reached: {_first_line(error)}", "see whether it is up"
        )
    if isinstance(error, (known.PaginationError, parsers.ResponseParserError)):
        return no_answer(address, f"something that cannot be read ({_first_line(error)})")
    return StoreDenied(f"{address.where}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
