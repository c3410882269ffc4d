"""Checkpoints whose manifests cannot be read: said, and in nobody else's way."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fintts_cli.terminal import Terminal
    from fintts_store.errors import StoreError
    from fintts_store.layout import CommitName


class Damaged:
    """Collects them while a run's manifests are listed."""

    def __init__(self) -> None:
        self._found: list[tuple[CommitName, StoreError]] = []

    def note(self, name: CommitName, error: StoreError) -> None:
        """For `list_manifests`."""
        self._found.append((name, error))

    def warn(self, terminal: Terminal) -> None:
        """Names each."""
        for name, error in self._found:
            terminal.warn(f"the checkpoint of step {name.step} is left out: {error.message}")

    def refuse(self, step: int | None = None) -> None:
        """Raises why the one of this step, or any, cannot be had; returns where none is damaged."""
        for name, error in self._found:
            if step in (None, name.step):
                raise error
