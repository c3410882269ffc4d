"""Finds the kind of store for an address, and opens the store."""

from fintts_store.backend import Backend
from fintts_store.backends.directory import DirectoryBackend
from fintts_store.backends.s3.addresses.endpoint import canonical_endpoint
from fintts_store.backends.s3.backend import S3Backend
from fintts_store.errors import StoreError
from fintts_store.network.patience import PATIENT, Patience
from fintts_store.store import Store

FOLDERS = DirectoryBackend()
"""A folder's address has no scheme."""
BACKENDS: tuple[Backend, ...] = (FOLDERS, S3Backend())


def backend_of(url: str) -> Backend:
    """The kind of store of an address, even a malformed one."""
    scheme = url.partition("://")[0] if "://" in url else ""
    return next((one for one in BACKENDS if one.scheme == scheme), FOLDERS)


def open_store(url: str, patience: Patience = PATIENT) -> Store:
    """Opens the store at this address, a directory or `s3://BUCKET/PREFIX`; makes no request.

    Args:
        patience: how long a request to a server may take, and how often it is tried.

    Raises:
        StoreError: the address is malformed, or of an unknown kind.
    """
    return backend_of(url).open(url, patience)


def at_endpoint(url: str, endpoint_url: str | None) -> str:
    """The store's address including its server; a folder has none.

    Raises:
        StoreError: the address or the endpoint is malformed, or they name different servers.
    """
    given = None if endpoint_url is None else canonical_endpoint(endpoint_url)
    return backend_of(url).full_address(url, given)


def is_same_place(one: str, other: str) -> bool:
    """Whether two addresses mean the same store in any spelling; a malformed one equals only
    itself."""
    try:
        return one == other or _place(one) == _place(other)
    except StoreError:
        return False


def _place(url: str) -> tuple[str, str]:
    backend = backend_of(url)
    return backend.scheme, backend.place(url)


def store_environment() -> tuple[str, ...]:
    """Patterns of the environment variables that a run on this machine needs for its store."""
    return tuple(pattern for one in BACKENDS for pattern in one.environment)
