"""Tests the key of an instance before one is rented.

The session policy, the bucket's policy, its KMS encryption and the role's own policy decide
together what the key may do. Not all of them can be read, but requests can be tried.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing, suppress

from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.errors import StoreDenied, StoreError
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
        adds_to: prefixes where it adds a file, which stays: the key removes nothing there.

    Raises:
        StoreDenied: the key is not sufficient; the message says for what.
        StoreUnreachable: the store does not answer.
    """
    store = S3Store(address, variables=variables)
    try:
        _write(store, trial_key(run))
        for prefix in adds_to:
            store.put(f"{prefix}{ADDED}", CONTENT)
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
    """Reads the start of every file, since each needs its KMS key."""
    for entry in store.list(key):
        with closing(store.stream(entry.key)) as chunks:
            next(chunks, b"")
