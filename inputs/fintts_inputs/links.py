"""Links in a folder of a base model or an adapter: one that leads elsewhere is refused.

What lies in such a folder is uploaded and exported, and a link would take a private file along.
The cache of Hugging Face is the exception: its snapshots consist of links into `../../blobs/`,
where the same model's files lie.
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
    """Where the files of a folder may lie."""
    model = folder.parent.parent
    if folder.parent.name != SNAPSHOTS:
        return [folder]
    return [folder, (model / BLOBS).resolve()]
