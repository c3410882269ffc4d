"""Limits the length of a listing, whatever the store sends."""

from fintts_store.errors import StoreDenied
from fintts_store.runs import limits


class KeyCount:
    """Counts the keys of one listing."""

    def __init__(self, where: str) -> None:
        self._where, self._count = where, 0

    def add(self, keys: int) -> None:
        """Counts more keys.

        Raises:
            StoreDenied: there are more than a listing may have.
        """
        self._count += keys
        if self._count > limits.KEYS:
            raise StoreDenied(
                f"{self._where} has more than {limits.KEYS:,} keys, too many for one store",
                "use a separate folder or prefix for the store; `fintts cloud prune` removes "
                "old checkpoints",
            )
