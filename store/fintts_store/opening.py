"""From a store's address to the store."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from fintts_store.addresses import HOW, folder_of, has_scheme, refuse_odd
from fintts_store.backends.directory import DirectoryStore
from fintts_store.backends.s3.address import BEGINNING, S3Address
from fintts_store.backends.s3.configured import configured_endpoint
from fintts_store.backends.s3.endpoint import canonical_endpoint
from fintts_store.errors import StoreDenied, StoreError
from fintts_store.patience import PATIENT, Patience
from fintts_store.store import Store

ENDPOINT = "endpoint_url"


def open_store(url: str, patience: Patience = PATIENT) -> Store:
    """Opens the store at this address: a directory, or `s3://BUCKET/PREFIX`; neither is touched.

    Args:
        patience: how long a request to a server may take, and how often it is tried.

    Raises:
        StoreError: the address is of a kind that this version does not know, or malformed.
    """
    if is_in_s3(url):
        from fintts_store.backends.s3.s3 import S3Store

        return S3Store(S3Address.parse(url), patience)
    return DirectoryStore(Path(_folder(url)))


def is_in_s3(url: str) -> bool:
    """Whether it is the address of a bucket, well formed or not."""
    return url.startswith(BEGINNING)


def is_on_aws(url: str) -> bool:
    """Whether it is the address of a bucket of AWS's own.

    Raises:
        StoreError: it is malformed.
    """
    return is_in_s3(url) and S3Address.parse(url).endpoint_url is None


def at_endpoint(
    url: str,
    endpoint_url: str | None,
    configured: Callable[[], str | None] = configured_endpoint,
) -> str:
    """The address of the same store with the server that it lies on; a folder has none.

    What is in the address or beside it counts more than what AWS's own settings name.

    Args:
        configured: the server that AWS's own settings name, asked where nothing else does.

    Raises:
        StoreError: the address or the endpoint is malformed, or they name different servers.
    """
    given = None if endpoint_url is None else canonical_endpoint(endpoint_url)
    if not is_in_s3(url):
        return _folder(url)
    named = S3Address.parse(url)
    if f"{ENDPOINT}=" in url:
        if given is not None and named.place != _joined(url.partition("?")[0], given).place:
            raise StoreDenied(
                f"the store {named.url} is to be on {given}, and names another server itself",
                "leave out s3_endpoint_url (--s3-endpoint-url), or the one in the address",
            )
        return named.url
    server = given or configured()
    return _joined(url, server).url if server else named.url


def is_same_place(one: str, other: str) -> bool:
    """Whether two addresses mean the same store, however each is written; one that is malformed
    means itself alone."""
    try:
        return one == other or _place(one) == _place(other)
    except StoreError:
        return False


def _place(url: str) -> str:
    return S3Address.parse(url).place if is_in_s3(url) else os.path.realpath(_folder(url))


def _joined(url: str, endpoint_url: str) -> S3Address:
    plain, _, query = url.partition("?")
    more = urlencode({ENDPOINT: endpoint_url})
    return S3Address.parse(f"{plain}?{query}&{more}" if query else f"{plain}?{more}")


def _folder(url: str) -> str:
    refuse_odd(url)
    if has_scheme(url):
        is_file = url.lower().startswith("file:")
        hint = "give the folder's path alone, without file://" if is_file else HOW
        raise StoreDenied(f"no store is known at an address like {url}", hint)
    return folder_of(url)
