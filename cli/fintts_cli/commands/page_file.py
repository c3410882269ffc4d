"""The option that writes a page, and the file."""

from pathlib import Path
from typing import Annotated

import typer

from fintts_store.disk.durable import write_file

Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write one HTML page that works offline."),
]


def write_page(path: Path, page: str) -> None:
    """Replaces the file as a whole, so that a browser never sees half of it.

    Raises:
        StoreError: the disk refuses.
    """
    write_file(path.absolute(), page.encode())
