"""Errors of a store and of its contents.

StoreError
├── StoreUnreachable     temporary: down, slow, a cut connection
├── StoreFull            lasts until space is freed
├── StoreSlow            uploads take longer than the time between two checkpoints
├── OldCheckpointsStay   rotation removed nothing; kept checkpoints are safe
├── StoreDenied          lasts until permissions or the address change
│   ├── PermissionMissing    one operation is not allowed; others may be
│   ├── KeyExpired           credentials that cannot be renewed in this process
│   ├── Unsupported          the server lacks an operation that runs need
│   └── NothingThere         the object ends before the requested bytes
├── StoreUnsound         a check of the store found a fault
│   └── NoExclusiveCreate    the server has no conditional writes, so create() is not exclusive
├── InvalidKey           a key that no store accepts
├── KeyNotFound          no object has this key
├── KeyExists            create() lost: another writer was first
│   └── LaunchTaken          another laptop took that launch number
├── Fenced               a newer instance has taken over the run
├── CheckpointCorrupt    bytes differ from the manifest
├── InvalidRecord        a record that cannot be read
│   └── NewerRecord      a sound record of a newer version of this program
└── InvalidRunName       not [a-z0-9-]{1,40}
"""

from typing import ClassVar

from fintts_store.output.redaction import without_secrets


def first_line(error: BaseException) -> str:
    """The first line of an error's message; its class if the message is empty."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


class StoreError(Exception):
    """`message` says in one sentence what went wrong, `hint` what to do.

    Secrets, for example from a library's message, are redacted.
    """

    passes_by_itself: ClassVar[bool] = False

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = without_secrets(message)
        self.hint = without_secrets(hint)
        super().__init__(self.message)


class StoreUnreachable(StoreError):
    """The store did not answer, or not in time; the same call may succeed later."""

    passes_by_itself: ClassVar[bool] = True


class StoreFull(StoreError):
    """The disk or quota is full; the same call succeeds once there is space."""

    passes_by_itself: ClassVar[bool] = True


class StoreSlow(StoreError):
    """Checkpoints are made faster than they upload."""


class OldCheckpointsStay(StoreError):
    """The store takes new checkpoints but does not delete old ones: it costs, and harms nothing."""


class StoreDenied(StoreError):
    """The store refused; trying again does not help."""


class PermissionMissing(StoreDenied):
    """The credentials, or the folder's permissions, do not allow this operation."""


class KeyExpired(StoreDenied):
    """The credentials in this process's environment have expired: it can never write again."""


class Unsupported(StoreDenied):
    """The server does not support this operation, or one of its headers."""


class NothingThere(StoreDenied):
    """An object has no bytes in the requested range: it is empty, or shorter than before."""


class StoreUnsound(StoreError):
    """A probe of the store failed, or its contents differ from its manifests."""


class NoExclusiveCreate(StoreUnsound):
    """The store cannot create a key exclusively, and is not marked as single-writer."""


class InvalidKey(StoreError):
    """A key that is absolute, contains `..`, or looks like a temporary file."""


class KeyNotFound(StoreError):
    """The store has no object with this key."""


class RotatedAway(KeyNotFound):
    """The run's rotation removed a checkpoint while it was being read."""


class KeyExists(StoreError):
    """The key to create exists already, and is unchanged."""


class LaunchTaken(KeyExists):
    """Another laptop took the launch number first; its launch is unchanged."""


class Fenced(StoreError):
    """Another instance holds a higher claim on the run, so this one must not write."""


class CheckpointCorrupt(StoreError):
    """A checkpoint's files differ from its manifest."""


class InvalidRecord(StoreError):
    """A record or manifest that is damaged or incomplete."""


class NewerRecord(InvalidRecord):
    """A record in a newer format than this program's; updating fintts makes it readable."""


class InvalidRunName(StoreError):
    """A run's name is part of keys, so it allows few characters."""
