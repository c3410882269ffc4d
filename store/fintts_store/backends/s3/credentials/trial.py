"""Tests the key of an instance before one is rented.

The session policy, the bucket's policy, its KMS encryption and the role's own policy decide
together what the key may do. Not all of them can be read, but requests can be tried.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing, suppress

from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.errors import KeyNotFound, StoreDenied, StoreError
from fintts_store.layout import trial_key

ADDED = "trial.txt"
CONTENT = b"written and read by fintts with the key of an instance, before one is rented"


def try_key(
    address: S3Address,
    run: str,
    reads: Sequence[str],
    variables: Mapping[str, str],
    adds_to: Sequence[str] = (),
) -> None:
    """Does what a trainer does: reads its inputs, and writes, reads, lists and removes a file.

    Args:
        reads: existing keys of the store, or prefixes that end with `/`.
        variables: the key, as in an instance's environment.
        adds_to: prefixes where it adds a file. This machine's own key removes it again: the
            instance's may not.

    Raises:
        StoreDenied: the key is not sufficient; the message says for what.
        StoreUnreachable: the store does not answer.
    """
    store, added = S3Store(address, variables=variables), [f"{prefix}{ADDED}" for prefix in adds_to]
    try:
        _write(store, trial_key(run))
        for key in added:
            store.put(key, CONTENT)
        for key in reads:
            _read(store, key)
    except StoreDenied as error:
        raise StoreDenied(
            f"the instance's key is not sufficient: {error.message}", error.hint
        ) from error
    finally:
        with suppress(StoreError):
            _remove(address, added)


def _write(store: S3Store, key: str) -> None:
    try:
        store.put(key, CONTENT)
        store.get(key)
        store.list(key)
        store.unfinished(key)
    finally:
        with suppress(StoreError):
            store.delete(key)


def _remove(address: S3Address, keys: Sequence[str]) -> None:
    if keys:
        mine = S3Store(address)
        for key in keys:
            mine.delete(key)


def _read(store: S3Store, key: str) -> None:
    """Reads the start of every file, since each needs its KMS key. A launch beside this one may
    remove what it tried."""
    for entry in store.list(key):
        with suppress(KeyNotFound), closing(store.stream(entry.key)) as chunks:
            next(chunks, b"")
