"""Finds the S3 server that AWS's own settings name, like boto3.

AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, and `endpoint_url` of the profile or of its `services`. It
becomes part of a store's address, since an instance does not have these settings.
"""

import os
from pathlib import Path

from fintts_store.backends.s3.addresses.endpoint import canonical_endpoint
from fintts_store.errors import StoreDenied

VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
FILES = {
    "AWS_CONFIG_FILE": "~/.aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
}
KEYS = (b"endpoint_url", b"services")


def configured_endpoint() -> str | None:
    """The canonical URL of that server; None if none is set.

    Raises:
        StoreDenied: it is not a URL, or the settings cannot be read.
    """
    found = _named() if _may_be_named() else None
    try:
        return canonical_endpoint(found) if found else None
    except StoreDenied as error:
        raise StoreDenied(
            f"{error.message} (from {', '.join(VARIABLES)} or endpoint_url of the AWS profile)",
            f"{error.hint}; or set another server with --s3-endpoint-url",
        ) from None


def _may_be_named() -> bool:
    """Whether boto3, which takes long to import, is needed to find out."""
    if any(os.environ.get(name) for name in VARIABLES):
        return True
    return any(key in _content(name) for name in FILES for key in KEYS)


def _content(variable: str) -> bytes:
    path = os.environ.get(variable) or FILES[variable]
    try:
        return Path(path).expanduser().read_bytes()
    except (OSError, RuntimeError, ValueError):  # there is none
        return b""


def _named() -> str | None:
    from fintts_store.backends.s3.addresses.profile import named_endpoint

    return named_endpoint()
