"""Tries the key of an instance before one is rented.

A session policy, the policy of the bucket, its encryption by a key of KMS and a role's own policy
all have a say in what that key may do. None of them can be read for certain; a request can be made.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing, suppress

from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.errors import StoreDenied, StoreError
from fintts_store.layout import trial_key

CONTENT = b"written and read by fintts with the key of an instance, before one is rented"


def try_key(
    address: S3Address, run: str, reads: Sequence[str], variables: Mapping[str, str]
) -> None:
    """Does once what a trainer does: reads its inputs, and writes, reads, lists and removes.

    Args:
        reads: keys of the store that are there, or prefixes that end with `/`.
        variables: the key, as an instance has it in its environment.

    Raises:
        StoreDenied: the key does not do; what refused it is said.
        StoreUnreachable: the store does not answer.
    """
    store = S3Store(address, variables=variables)
    try:
        _write(store, trial_key(run))
        for key in reads:
            _read(store, key)
    except StoreDenied as error:
        raise StoreDenied(
            f"the instance's key is not sufficient: {error.message}", error.hint
        ) from error


def _write(store: S3Store, key: str) -> None:
    try:
        store.put(key, CONTENT)
        store.get(key)
        store.list(key)
        store.unfinished(key)
    finally:
        with suppress(StoreError):
            store.delete(key)


def _read(store: S3Store, key: str) -> None:
    """The beginning of every file: a key of KMS is asked for each."""
    for entry in store.list(key):
        with closing(store.stream(entry.key)) as chunks:
            next(chunks, b"")
