"""Parses the address of an S3 store.

Each place has one text, so anything ambiguous or without effect is refused.
"""

import re
import unicodedata
from typing import cast, get_args
from urllib.parse import parse_qsl

from fintts_store.addresses import refuse_odd
from fintts_store.backends.s3.addresses.address import (
    BEGINNING,
    Addressing,
    Encryption,
    S3Address,
    usual_addressing,
)
from fintts_store.backends.s3.addresses.endpoint import CREDENTIALS, canonical_endpoint
from fintts_store.errors import StoreDenied
from fintts_store.output.redaction import without_secrets
from fintts_store.store import is_relative_name

EXAMPLE = "write s3://BUCKET/PREFIX, followed by ?endpoint_url=URL if the server is not AWS"
RULE = (
    "3 to 63 characters of a-z, 0-9, '-' and '.', with a letter or a digit at both ends and no "
    "two dots in a row"
)
_BUCKET = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IPV4 = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_REGION = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_AWS = re.compile(
    r"https://s3(?:[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9]+))?\.amazonaws\.com(?:\.cn)?"
)
"""AWS's own servers, which boto3 finds by region"""
_DIRECTORY_BUCKET = re.compile("--(x-s3|xa-s3)$")
_OPTIONS = ("endpoint_url", "addressing", "region", "sse", "sse_kms_key_id", "request_payer")
_OPTION_BEHIND = re.compile(rf"[&;,]({'|'.join(_OPTIONS)})=")
_CHOICES = {
    "addressing": get_args(Addressing),
    "sse": get_args(Encryption),
    "request_payer": ("requester",),
}


def parse_address(text: str) -> S3Address:
    """Parses `s3://BUCKET/PREFIX`, with options such as `?endpoint_url=URL`.

    Raises:
        StoreDenied: it is not such an address, or a part of it would have no effect.
    """
    refuse_odd(text)
    place, _, query = text.removeprefix(BEGINNING).partition("?")
    bucket, slash, prefix = place.removesuffix("/").partition("/")
    _check_place(text, bucket, slash + prefix)
    options = _options(text, query)
    named = _without_bucket(options.get("endpoint_url"), bucket)
    endpoint_url, region = _server(named, options.get("region"))
    addressing = options.get("addressing") or usual_addressing(endpoint_url)
    return S3Address(
        bucket,
        f"{prefix}/" if prefix else "",
        endpoint_url,
        cast("Addressing", addressing),
        region,
        cast("Encryption | None", options.get("sse")),
        options.get("sse_kms_key_id"),
        options.get("request_payer"),
    )


def _without_bucket(endpoint_url: str | None, bucket: str) -> str | None:
    """Removes the bucket's name from the end of an endpoint, where Cloudflare's dashboard shows
    it."""
    if endpoint_url is None:
        return None
    url = canonical_endpoint(endpoint_url)
    scheme, _, server = url.partition("://")
    return f"{scheme}://{server.removesuffix(f'/{bucket}')}"


def _server(endpoint_url: str | None, region: str | None) -> tuple[str | None, str | None]:
    """Endpoint and region; one of AWS's own endpoints is replaced by its region."""
    if endpoint_url is None:
        return None, region
    url = canonical_endpoint(endpoint_url)
    of_aws = _AWS.fullmatch(url)
    if of_aws is None or (region and of_aws["region"] not in (None, region)):
        return url, region
    return None, of_aws["region"] or region


def _check_place(text: str, bucket: str, folder: str) -> None:
    """Refuses an empty part, and other parts that are not names."""
    prefix = folder.removeprefix("/")
    if "@" in bucket or (":" in bucket and "@" in prefix):  # a secret may have a slash in it
        raise StoreDenied(f"the address {without_secrets(text)} contains credentials", CREDENTIALS)
    if not text.startswith(BEGINNING):
        raise StoreDenied(f"{text} names no bucket", EXAMPLE)
    if "#" in text:
        raise StoreDenied(
            f"the address {text} has a '#', which ends an address in other programs",
            "choose a prefix without it",
        )
    _check_kind(text, bucket)
    if not _is_bucket(bucket):
        raise StoreDenied(f"{text} names no bucket{_why_none(bucket)}", EXAMPLE)
    _check_spelling(text, prefix)
    if folder and not is_relative_name(prefix):
        raise StoreDenied(f"the prefix of {text} has an empty part, '.' or '..'", EXAMPLE)


def _check_kind(text: str, bucket: str) -> None:
    """Refuses ARNs, and kinds of buckets that runs cannot use."""
    if bucket.startswith("arn:"):
        raise StoreDenied(
            f"{text} names a bucket by an ARN",
            "write the bucket's name, or an access point's alias, which ends in -s3alias (see "
            "`aws s3control get-access-point`): s3://ALIAS/PREFIX",
        )
    if _DIRECTORY_BUCKET.search(bucket):
        raise StoreDenied(
            f"s3://{bucket} is a directory bucket (S3 Express One Zone), which cannot list keys "
            "as runs need",
            "use a general purpose bucket in the same region",
        )


def _is_bucket(name: str) -> bool:
    return _BUCKET.fullmatch(name) is not None and _IPV4.fullmatch(name) is None


def _why_none(bucket: str) -> str:
    if not bucket:
        return ""
    if bucket != bucket.lower():
        return f": {bucket} has upper-case letters, which bucket names cannot have"
    if ":" in bucket or _IPV4.fullmatch(bucket):
        return f": {bucket} is the address of a server"
    return f": {bucket} is not a valid bucket name: {RULE}"


def _check_spelling(text: str, prefix: str) -> None:
    """Refuses a prefix that looks like another one, or that other programs read differently."""
    if "\\" in prefix or not prefix.isprintable():
        raise StoreDenied(
            f"the prefix of {text} has a backslash or a misleading character",
            EXAMPLE,
        )
    if "%" in prefix:
        raise StoreDenied(
            f"the prefix of {text} has a '%', which other programs decode but fintts does not",
            "write the prefix as the bucket shows it, or choose one without it",
        )
    if option := _OPTION_BEHIND.search(prefix):
        raise StoreDenied(
            f"the prefix of {text} has {option[0]}, which looks like an option",
            "write a '?' before the first option, and '&' before the others",
        )
    if not unicodedata.is_normalized("NFC", prefix):
        raise StoreDenied(
            f"the prefix of {text} has letters in Unicode NFD, which other programs store "
            "differently",
            "type it again, or choose a prefix of a to z",
        )
    if any(part != part.strip() for part in prefix.split("/")):
        raise StoreDenied(
            f"the prefix of {text} has a part that starts or ends with a space", EXAMPLE
        )


def _pairs(query: str) -> list[tuple[str, str]]:
    """Raises ValueError for anything but NAME=VALUE&NAME=VALUE."""
    if not query:
        return []
    return parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")


def _options(text: str, query: str) -> dict[str, str]:
    """The options after the `?`, each once."""
    known = f"known are {', '.join(_OPTIONS)}, each once, joined by &"
    try:
        pairs = _pairs(query)
    except ValueError:
        raise StoreDenied(f"the part after the '?' of {text} cannot be read", known) from None
    options = dict(pairs)
    unknown = sorted(options.keys() - set(_OPTIONS))
    if unknown:
        raise StoreDenied(f"unknown option {unknown[0]} in {text}", known)
    if len(options) < len(pairs):
        raise StoreDenied(f"{text} has an option twice", known)
    for name, value in pairs:
        if not value:
            raise StoreDenied(f"{text} has an option {name} without a value", known)
    _check_options(text, options)
    return options


def _check_options(text: str, options: dict[str, str]) -> None:
    for name, choices in _CHOICES.items():
        if name in options and options[name] not in choices:
            known = " or ".join(choices)
            raise StoreDenied(f"{text} sets {name} to {options[name]}", f"it is {known}")
    if "sse_kms_key_id" in options and not options.get("sse", "").startswith("aws:kms"):
        raise StoreDenied(f"{text} has a KMS key without sse", "add &sse=aws:kms to it")
    if not _REGION.fullmatch(options.get("region", "auto")):
        raise StoreDenied(f"{text} has an invalid region", "such as eu-central-1")
