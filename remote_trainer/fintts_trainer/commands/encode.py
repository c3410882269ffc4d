"""`encode` turns recordings into codes, by a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_trainer.recordings.encode import answer_plan

if TYPE_CHECKING:
    from argparse import Namespace


def run(options: Namespace) -> int:
    """Follows `--plan`; returns 0 or 1."""
    return answer_plan(options.plan)
