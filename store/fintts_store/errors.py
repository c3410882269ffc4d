"""What can go wrong with a store and with what lies in it.

StoreError
├── StoreUnreachable     passes by itself: down, slow, a cut connection
├── StoreFull            passes when space is freed
├── StoreSlow            uploads take longer than the time between two checkpoints
├── OldCheckpointsStay   rotation removed nothing; what is kept is safe
├── StoreDenied          stays until permissions or the address change
│   ├── PermissionMissing    of one operation: others may be allowed
│   ├── KeyExpired           credentials that cannot be renewed in this process
│   ├── Unsupported          the server does not know what runs need
│   └── NothingThere         the object ends before the bytes that were asked for
├── StoreUnsound         a check of the store found something wrong
│   └── NoExclusiveCreate    the server has no conditional writes, so create cannot be kept
├── InvalidKey           a key that no store takes
├── KeyNotFound          nothing lies under this key
├── KeyExists            create() lost: another writer was first
│   └── LaunchTaken          another laptop took that number of launch
├── Fenced               a newer instance has taken over the run
├── CheckpointCorrupt    bytes differ from what the manifest says
├── InvalidRecord        a record that cannot be read
│   └── NewerRecord      it is sound, and this program is too old for it
└── InvalidRunName       not [a-z0-9-]{1,40}
"""

from typing import ClassVar

from fintts_store.redaction import without_secrets


def first_line(error: BaseException) -> str:
    """The first line of what an error says; its class where it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


class StoreError(Exception):
    """Says in `message` what went wrong, in one sentence, and in `hint` what to do about it.

    Secrets in them, such as a library's message may have, are taken out.
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
    """The disk or the quota is used up; the same call succeeds once there is space."""

    passes_by_itself: ClassVar[bool] = True


class StoreSlow(StoreError):
    """Checkpoints are made faster than the store takes them."""


class OldCheckpointsStay(StoreError):
    """The store takes checkpoints and does not let go of old ones: it costs, and harms nothing."""


class StoreDenied(StoreError):
    """The store answered, and refused; asking again does not help."""


class PermissionMissing(StoreDenied):
    """The credentials, or the folder's permissions, do not allow this very operation."""


class KeyExpired(StoreDenied):
    """The credentials in this process's environment have ended: it can never write again."""


class Unsupported(StoreDenied):
    """The server says that it does not know this operation, or a header of it."""


class NothingThere(StoreDenied):
    """An object has no byte where some were asked for: it is empty, or shorter than it was."""


class StoreUnsound(StoreError):
    """A probe of the store failed, or what lies in it is not what its manifests say."""


class NoExclusiveCreate(StoreUnsound):
    """The store cannot create a key exclusively, and is not marked as having a single writer."""


class InvalidKey(StoreError):
    """A key that is absolute, has `..` in it, or cannot be told from a temporary file."""


class KeyNotFound(StoreError):
    """Nothing lies under the key that was asked for."""


class RotatedAway(KeyNotFound):
    """A checkpoint that a run at work removed, as is its rule, while it was being read."""


class KeyExists(StoreError):
    """The key that was to be created is there already, and was left as it is."""


class LaunchTaken(KeyExists):
    """Another laptop took the number of the launch first; nothing of its launch was changed."""


class Fenced(StoreError):
    """Another instance holds a higher claim on the run: this one must not write any more."""


class CheckpointCorrupt(StoreError):
    """A checkpoint's files are not the ones that its manifest names."""


class InvalidRecord(StoreError):
    """A record or manifest that does not say what it must."""


class NewerRecord(InvalidRecord):
    """A record in a format that came after this program; updating fintts makes it readable."""


class InvalidRunName(StoreError):
    """A run's name is part of keys, so few characters are allowed in it."""
