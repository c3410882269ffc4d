"""A store whose listings are sometimes empty, as those of S3 are that a proxy has cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fintts_store.backends.directory import DirectoryStore
from fintts_store.store import Entries, Names


class LyingStore(DirectoryStore):
    """Shows nothing of the prefixes for which `hides` is true, and counts how often it lied."""

    def __init__(self, root: Path, hides: Callable[[str], bool], times: int = 1_000_000) -> None:
        super().__init__(root)
        self._hides, self._times = hides, times
        self.lies = 0

    def list(self, prefix: str) -> Entries:
        return [] if self._lies(prefix) else super().list(prefix)

    def folders(self, prefix: str) -> Names:
        return [] if self._lies(prefix) else super().folders(prefix)

    def _lies(self, prefix: str) -> bool:
        lies = self.lies < self._times and self._hides(prefix)
        self.lies += lies
        return lies
