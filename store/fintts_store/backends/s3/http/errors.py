"""Turns boto3's errors into sentences with a hint."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

from botocore import exceptions as known
from botocore import parsers
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.http.answers import NoAnswer, NotInItsWords, OtherRegion
from fintts_store.backends.s3.http.codes import (
    CERTAIN,
    CONFLICT,
    DENIED,
    DOUBTFUL_STATUSES,
    EXISTS,
    EXPIRED,
    FORBIDDEN,
    NO_OBJECT,
    NOT_FOUND,
    OTHER_REGION,
    PASSING,
    PAST_THE_END,
    SAME_AS,
    SERVER_ERRORS,
    TOO_LARGE,
    UNSUPPORTED,
)
from fintts_store.backends.s3.http.reasons import (
    Told,
    hint_for_forbidden,
    hint_for_region,
    is_full,
    reason,
    region_named_in,
)
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
    Unsupported,
    first_line,
)
from fintts_store.network.reach import proxy_variable

TOKEN = "AWS_SESSION_TOKEN"
"""a temporary key in the environment never changes; a profile's key may be renewed"""
AGAIN = (
    "start the run again with a new key; it resumes from the newest committed checkpoint, if any"
)
OF_KMS = "check that the KMS key of the bucket is enabled, and that your key may use it"
ANOTHER_ANSWERS = "check the address, and that no login page or proxy answers instead"
AWS_URL = "https://s3.amazonaws.com"
PLAIN = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
"""OpenSSL's names for an answer that is not TLS"""
MISREAD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What boto3 raises for an unexpected answer"""


@contextmanager
def explained_by_s3(address: S3Address, key: str = "") -> Generator[None]:
    """Turns any boto3 error about a key or the bucket into a StoreError."""

    try:
        yield
    except ClientError as error:
        raise _explain_answer(error, address, key) from error
    except (BotoCoreError, ResponseParserError) as error:
        raise _explain_silence(error, address) from error
    except OtherRegion as error:
        raise _refusal(OTHER_REGION, "", address, "") from error
    except NotInItsWords as error:
        raise _another_s_answer(error, address) from error
    except NoAnswer as error:
        raise no_answer(address, str(error)) from error
    except MISREAD as error:
        what = f"something that cannot be read ({type(error).__name__}: {first_line(error)})"
        raise no_answer(address, what) from error
    except RuntimeError as error:  # a renewed key that has expired, too
        _, hint = DENIED[EXPIRED]
        raise StoreDenied(f"{address.where}: {first_line(error).rstrip('.')}", hint) from error


def _another_s_answer(error: NotInItsWords, address: S3Address) -> StoreDenied:
    """An answer from a proxy, or from a server asked without TLS."""
    if error.status == TOO_LARGE:
        return _refusal("EntityTooLarge", error.operation, address, "")
    hint = ANOTHER_ANSWERS
    if "https" in error.text.lower():
        hint = f"it expects TLS: write its endpoint as {_other_scheme(address)}"
    return StoreDenied(f"{address.where} does not answer like S3: it sent {error}", hint)


def _other_scheme(address: S3Address) -> str:
    scheme, _, rest = (address.endpoint_url or "").partition("://")
    return f"{'http' if scheme == 'https' else 'https'}://{rest}"


def no_answer(address: S3Address, what: str) -> StoreUnreachable:
    """The error for an answer that says nothing about the store."""
    return StoreUnreachable(
        f"{address.where} does not answer like S3: it sent {what}",
        ANOTHER_ANSWERS,
    )


def region_wanted(error: StoreError) -> str:
    """The region that the server wants in the signature; empty if it names none."""

    cause = error.__cause__
    return region_named_in(_told_by(cause)) if isinstance(cause, ClientError) else ""


def _told_by(error: ClientError) -> Told:
    told: Told = dict(error.response.get("Error", {}))
    return told


def deserves_a_second_try(error: StoreError) -> bool:
    """Whether a refusal may come from damage in transit, such as a flipped bit in a header."""

    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return False
    code, status = _code_and_status(cause)
    return status in DOUBTFUL_STATUSES and code not in CERTAIN


def _code_and_status(error: ClientError) -> tuple[str, int]:
    answer = error.response
    code = answer.get("Error", {}).get("Code", "")
    return code, int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _explain_answer(error: ClientError, address: S3Address, key: str) -> StoreError:
    """The StoreError for a server's error."""
    code, status = _code_and_status(error)
    operation, said = error.operation_name, reason(_told_by(error))
    if is_full(operation, code, status, said):
        return StoreFull(
            f"{address.where} is full: {_told(operation, code, status, said)}",
            "free some space there, or raise its quota",
        )
    known = UNSUPPORTED if "none-match" in said.lower() else SAME_AS.get(code, code)
    if known in DENIED:
        return _refusal(known, operation, address, said)
    of_a_key = _of_a_key(code, operation, address, key)
    if of_a_key is not None:
        return of_a_key
    if status >= SERVER_ERRORS or status == CONFLICT or code in PASSING:
        return StoreUnreachable(
            f"{address.where} answered {operation} with {status} {code}",
            "it may be overloaded or restarting; try again later",
        )
    hint = OF_KMS if code.startswith("KMS.") else ""
    return StoreDenied(f"{address.where}: {_told(operation, code, status, said)}", hint)


def _told(operation: str, code: str, status: int, said: str) -> str:
    """The server's code and message."""
    number = "" if code == str(status) else f"{status} "
    return f"{operation} was answered with {number}{code}" + (f": {said}" if said else "")


def _of_a_key(code: str, operation: str, address: S3Address, key: str) -> StoreError | None:
    """The error about a key, as opposed to the store."""
    if code == NO_OBJECT and operation.startswith("List"):
        return StoreDenied(
            f"{address.where} treats the listing of the bucket as an object",
            "its endpoint already includes a bucket; write it as https://HOST",
        )
    if code in NOT_FOUND:
        return KeyNotFound(f"{address.url} has no {key}")
    if code in EXISTS:
        return KeyExists(f"{key} already exists in {address.url}")
    if code in PAST_THE_END:
        return NothingThere(
            f"{key} in {address.url} ends before that byte", "fetch it from the beginning"
        )
    return None


def _refusal(code: str, operation: str, address: S3Address, said: str) -> StoreDenied:
    sentence, hint = DENIED[code]
    because = f": {said}" if said else ""
    text = sentence.format(where=address.where, operation=operation, because=because)
    if code == EXPIRED and TOKEN in os.environ:
        return KeyExpired(text, AGAIN)
    if code == FORBIDDEN:
        return PermissionMissing(text, hint_for_forbidden(address, operation, said))
    if code == OTHER_REGION:
        return StoreDenied(text, hint_for_region(address))
    return (Unsupported if code == UNSUPPORTED else StoreDenied)(text, hint)


def _explain_silence(error: Exception, address: S3Address) -> StoreError:
    """The StoreError for no answer, or for a request that could not be made."""

    if isinstance(error, (known.NoCredentialsError, known.PartialCredentialsError)):
        return StoreDenied(
            f"there are no credentials for {address.where}",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, "
            "or sign in with `aws sso login`",
        )
    if isinstance(error, (known.TokenRetrievalError, known.SSOError)):
        return StoreDenied(f"{address.where}: {first_line(error)}", "sign in with `aws sso login`")
    if isinstance(error, known.SSLError):
        return _of_tls(first_line(error), address)
    if isinstance(error, known.ProxyConnectionError):
        return _of_proxy(address)
    if isinstance(error, (known.ConnectionError, known.HTTPClientError, known.IncompleteReadError)):
        return StoreUnreachable(
            f"{address.where} cannot be reached: {first_line(error)}", _see_whether(address)
        )
    if isinstance(error, (known.PaginationError, parsers.ResponseParserError)):
        return no_answer(address, f"something that cannot be read ({first_line(error)})")
    return StoreDenied(f"{address.where}: {first_line(error)}")


def _of_proxy(address: S3Address) -> StoreError:
    """The error for a proxy that does not answer; its URL, which may hold a password, is left
    out."""
    url = address.endpoint_url or AWS_URL
    name = proxy_variable(url) or "the system's settings"
    return StoreUnreachable(
        f"{address.where} cannot be reached: the proxy in {name} does not answer",
        f"correct {name} to the http://HOST:PORT of a working proxy (SOCKS is not supported), or "
        f"add {urlsplit(url).hostname} to NO_PROXY to bypass the proxy",
    )


def _of_tls(said: str, address: S3Address) -> StoreError:
    if any(text in said for text in PLAIN):
        return StoreDenied(
            f"{address.where} does not speak TLS: {said}",
            f"if it does not use TLS, write its endpoint as {_other_scheme(address)}",
        )
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return StoreDenied(
            f"the certificate of {address.where} is not trusted: {said}",
            "set AWS_CA_BUNDLE to a file with its authority's certificate",
        )
    return StoreUnreachable(
        f"no TLS connection to {address.where}: {said}",
        "check the endpoint, and that no proxy answers instead",
    )


def _see_whether(address: S3Address) -> str:
    """What to check if no answer came; a server that requires TLS hangs up."""
    if (address.endpoint_url or "").startswith("http://"):
        return f"check that it is up, and whether it expects TLS ({_other_scheme(address)})"
    return "check that it is up"
