"""Checkpoints whose manifests cannot be read: a command warns about them and continues."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_store.errors import StoreError
    from fintts_store.layout import CommitName


class UnreadableCheckpoints:
    """Collects damaged checkpoints while a run's manifests are listed."""

    def __init__(self) -> None:
        self._found: list[tuple[CommitName, StoreError]] = []

    def note(self, name: CommitName, error: StoreError) -> None:
        """The callback for `list_manifests`."""
        self._found.append((name, error))

    def warn(self, warn: Callable[[str], None]) -> None:
        """Warns about each."""
        for name, error in self._found:
            warn(f"skipping the checkpoint of step {name.step}: {error.message}")

    def refuse(self, step: int | None = None) -> None:
        """Raises the error of this step's checkpoint, or of any; returns if none is damaged."""
        for name, error in self._found:
            if step in (None, name.step):
                raise error
