"""`merge` writes a Fish Speech model with an adapter merged into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_trainer.export import merge_folders, print_outcome

if TYPE_CHECKING:
    from argparse import Namespace


def run(options: Namespace) -> int:
    """Merges `--adapter` into `--base` and writes the weights to `--to`; returns 0 or 1."""
    return print_outcome(lambda: merge_folders(options.base, options.adapter, options.to))
