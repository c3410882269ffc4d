"""The checkpoints of a run, and the disk that they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.views.estimate.layout import megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fintts_cost.estimate.result import Estimate

MOST_KEPT_STEPS = 8


def checkpoint_lines(estimate: Estimate) -> Iterator[str]:
    storage, given = estimate.storage, estimate.given
    cadence = f"every {given.checkpoint_every:,} steps and at the end"
    yield f"written      {storage.written:,}, {cadence}; {storage.removed:,} rotated away"
    yield f"kept         {_kept_steps(storage.kept_steps)}"
    if storage.bytes_each:
        yield from _disk(estimate)
    if estimate.keep_last_alone_loses_best:
        yield ""
        yield f"with patience {given.patience:,} the last {given.keep_last:,} alone would lose"
        yield f"the best one just as the run stops: {_best_is_kept(estimate)}"


def _best_is_kept(estimate: Estimate) -> str:
    if estimate.given.keep_best:
        return "fintts keeps it beyond them"
    return "set keep_best to keep it"


def _kept_steps(steps: Sequence[int]) -> str:
    if len(steps) <= MOST_KEPT_STEPS:
        return "  ".join(f"{step:,}" for step in steps)
    return f"{steps[0]:,}  {steps[1]:,}  …  {steps[-1]:,} ({len(steps):,} of them)"


def _disk(estimate: Estimate) -> Iterator[str]:
    storage = estimate.storage
    kept, each = len(storage.kept_steps), megabytes(storage.bytes_each)
    yield f"at the end   {kept:,} × {each} = {megabytes(storage.bytes_at_end)}"
    peak, with_best = megabytes(storage.bytes_at_peak), megabytes(storage.bytes_with_best)
    yield f"at the peak  {peak}: a new one is complete before an old one goes"
    if estimate.given.keep_best and with_best != peak:
        yield f"             {with_best} while the best one is older than all of them"
    whole = megabytes(storage.bytes_without_rotation)
    yield f"unrotated    {storage.written:,} × {each} = {whole}"
