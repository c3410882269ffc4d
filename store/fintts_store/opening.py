"""From a store's address to the store."""

from pathlib import Path
from urllib.parse import urlencode

from fintts_store.backends.directory import DirectoryStore
from fintts_store.backends.s3.address import SCHEME, S3Address
from fintts_store.errors import StoreError
from fintts_store.store import Store


def open_store(url: str) -> Store:
    """Opens the store at this address: a directory, or `s3://BUCKET/PREFIX`; neither is touched.

    Raises:
        StoreError: the address is of a kind that this version does not know.
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        return DirectoryStore(Path(url))
    if scheme == SCHEME:
        from fintts_store.backends.s3.s3 import S3Store

        return S3Store(S3Address.parse(url))
    raise StoreError(
        f"no store is known at an address like {url}", "give --store s3://BUCKET/PREFIX or a folder"
    )


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
