"""From a store's address to the store."""

from pathlib import Path
from urllib.parse import urlencode

from fintts_store.addresses import has_scheme
from fintts_store.backends.directory import DirectoryStore
from fintts_store.backends.s3.address import SCHEME, S3Address, without_credentials
from fintts_store.errors import StoreError
from fintts_store.patience import PATIENT, Patience
from fintts_store.store import Store


def open_store(url: str, patience: Patience = PATIENT) -> Store:
    """Opens the store at this address: a directory, or `s3://BUCKET/PREFIX`; neither is touched.

    Args:
        patience: how long a request to a server may take, and how often it is tried.

    Raises:
        StoreError: the address is of a kind that this version does not know.
    """
    scheme, separator, _ = url.partition("://")
    if separator and scheme == SCHEME:
        from fintts_store.backends.s3.s3 import S3Store

        return S3Store(S3Address.parse(url), patience)
    if has_scheme(url):
        raise StoreError(
            f"no store is known at an address like {without_credentials(url)}",
            "give s3://BUCKET/PREFIX or a folder; a folder with such a name is ./NAME",
        )
    return DirectoryStore(Path(url))


def at_endpoint(url: str, endpoint_url: str | None) -> str:
    """The address of the same store with the server that it lies on; a folder has none.

    Raises:
        StoreError: the address or the endpoint is malformed.
    """
    if endpoint_url is None or not url.startswith(f"{SCHEME}://"):
        return url
    separator = "&" if "?" in url else "?"
    query = urlencode({"endpoint_url": endpoint_url})
    return S3Address.parse(f"{url}{separator}{query}").url
