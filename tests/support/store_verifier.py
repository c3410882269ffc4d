"""What must hold of a run's checkpoints, seen without any of the program's own code.

It reads the keys and the JSON of the protocol by itself, so that a mistake in the program cannot
hide itself here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Commit:
    """A manifest that names nothing but what is there, byte for byte."""

    claim: int
    step: int
    name: str
    value: float


class Torn(AssertionError):
    """A manifest names a file that is missing or differs."""


def verify(keys: Iterable[str], read: Callable[[str], bytes], run: str) -> list[Commit]:
    """All commits in order of (claim, step). Raises Torn."""
    here, root = set(keys), f"runs/{run}/"
    # A killed writer to a directory leaves its temporary file: nobody reads it as a manifest.
    manifest_key = re.compile(re.escape(f"{root}commits/") + r"\d{6}-\d{9}-[0-9a-f]{8}\.json")
    commits: list[Commit] = []
    for key in sorted(filter(manifest_key.fullmatch, here)):
        manifest = json.loads(read(key))
        if manifest.get("tombstone"):
            continue
        name = key.removeprefix(f"{root}commits/").removesuffix(".json")
        for file in manifest["files"]:
            place = f"{root}checkpoints/{name}/{file['name']}"
            if place not in here:
                raise Torn(f"{key}: {file['name']} is missing")
            data = read(place)
            if (len(data), hashlib.sha256(data).hexdigest()) != (
                file["size_bytes"],
                file["sha256"],
            ):
                raise Torn(f"{key}: {file['name']} differs")
        commits.append(Commit(manifest["claim"], manifest["step"], name, manifest["value"]))
    return sorted(commits, key=lambda commit: (commit.claim, commit.step))


def orphans(keys: Iterable[str], commits: Iterable[Commit], run: str) -> set[str]:
    """Folders of checkpoints that no commit names."""
    prefix = f"runs/{run}/checkpoints/"
    folders = {key.removeprefix(prefix).split("/")[0] for key in keys if key.startswith(prefix)}
    return folders - {commit.name for commit in commits}
