"""A store in a folder, on a server that has another time than this machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from fintts_store.backends.directory import DirectoryStore


class OtherClock(DirectoryStore):
    """Its clock is ahead of this machine's by so much; below zero it is behind."""

    def __init__(self, root: Path, ahead: timedelta) -> None:
        super().__init__(root)
        self._ahead = ahead

    def clock(self, within: str = "") -> datetime | None:
        return datetime.now(UTC) + self._ahead
