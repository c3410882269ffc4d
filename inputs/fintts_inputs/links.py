"""Refuses links out of the folder of a base model or an adapter.

The contents of such a folder are uploaded and exported, and a link could include a private file.
Hugging Face's cache is an exception: its snapshots are links into `../../blobs/`, which has the
same model's files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.errors import BaseModelProblem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SNAPSHOTS, BLOBS = "snapshots", "blobs"


def refuse_links_out(folder: Path, names: Iterable[str]) -> None:
    """Raises BaseModelProblem for the first of these files that is a link out of the folder."""
    homes = _homes(folder.resolve())
    for name in names:
        path = folder / name
        if path.is_symlink() and not any(path.resolve().is_relative_to(home) for home in homes):
            raise BaseModelProblem(
                f"{name} in {folder} is a link out of the folder", "put the file itself there"
            )


def _homes(folder: Path) -> list[Path]:
    """The folders that may contain the files of a folder."""
    model = folder.parent.parent
    if folder.parent.name != SNAPSHOTS:
        return [folder]
    return [folder, (model / BLOBS).resolve()]
