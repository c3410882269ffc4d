"""A run's log: from the instance while it exists, otherwise from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError
from fintts_store.runs.logs import read_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fintts_cli.infra import Infra
    from fintts_store.store import Store


def log_lines(infra: Infra, store: Store, run: str, *, follow: bool) -> Iterator[str]:
    """The lines, oldest first; with `follow`, until the job ends.

    Raises:
        CloudError: the infra has no log, and the instance left none in the store.
    """
    begun = False
    try:
        for line in infra.logs(run, follow=follow):
            begun = True
            yield line
    except CloudError:
        if begun:
            raise
        for text in read_logs(store, run):
            begun = begun or bool(text)
            yield from text.splitlines(keepends=True)
        if not begun:
            raise
