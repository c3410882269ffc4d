"""How fast earlier runs in the store, or a dry run on this machine, did work of this kind.

All runs with the same base model count. What differs from this run (lengths, rank, batch, GPU) is
scaled by the ratio of the forecasts for both, so only that ratio has to be right. Runs on another
GPU count only if there is none on the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from fintts_cli.estimate.figures import MeasuredPace
from fintts_cli.estimate.pace import find_dry_pace
from fintts_cli.estimate.work import samples_per_step, seconds_on, work_of_step
from fintts_cost.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from fintts_cli.estimate.figures import Workload
    from fintts_cli.estimate.past_runs import PastRun
    from fintts_cli.settings.model import Settings
    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.config import TrainingSections

SAME_WORK, OTHER_WORK, OTHER_GPU = 1.15, 1.4, 2.5
"""How far off one run may be, either way: of the same work on the same GPU, whose machines differ;
of other work; on another GPU. Assumptions, until there are several runs to show it."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """A past run as it would be with this run's work and GPU."""

    run: PastRun
    seconds_per_step: float
    seconds_per_validation: float | None
    doubt: float
    """how far off it may be, as a factor"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The run whose pace is wanted."""

    settings: Settings
    shape: ModelShape | None
    workload: Workload

    @property
    def gpus(self) -> str | None:
        """None for this machine."""
        return None if self.settings.is_local else self.settings.first_gpus

    def scaled(self, run: PastRun) -> Scaled | None:
        """The past run with this one's work and GPU; None if it is not comparable."""
        if (self.gpus is None) != (run.gpus is None):
            return None
        is_same = _work_of(self.settings) == _work_of(run.config)
        if self.shape is None:  # nothing to scale by
            same = is_same and self.gpus == run.gpus
            each = run.seconds_per_step, run.seconds_per_validation
            return Scaled(run, *each, SAME_WORK) if same else None
        theirs = run.workload(self.workload.text_tokens / self.workload.frames)
        ours = self._forecast(self.settings, self.shape, self.workload, self.gpus)
        other = self._forecast(run.config, self.shape, theirs, run.gpus)
        factor = ours / other
        doubt = SAME_WORK if is_same else OTHER_WORK
        return Scaled(
            run,
            run.seconds_per_step * factor,
            self._check_seconds(run, theirs, factor),
            doubt if self.gpus == run.gpus else OTHER_GPU,
        )

    def _forecast(
        self, config: TrainingSections, shape: ModelShape, workload: Workload, gpus: str | None
    ) -> float:
        work = work_of_step(shape, config.lora, config.training, workload)
        return work.flops if gpus is None else seconds_on(work, gpus).likely

    def _check_seconds(self, run: PastRun, theirs: Workload, factor: float) -> float | None:
        """A check grows with the time of an utterance and the number that is held out."""
        seconds = run.seconds_per_validation
        if seconds is None or theirs.held_out == 0:
            return seconds
        steps = samples_per_step(run.config.training) / samples_per_step(self.settings.training)
        return seconds * factor * steps * self.workload.held_out / theirs.held_out


def _work_of(config: TrainingSections) -> tuple[object, ...]:
    """What a step does, apart from the lengths of the utterances."""
    training = config.training
    return training.batch_size, training.gradient_accumulation, config.lora


def measured_pace(
    state: Path, wanted: Wanted, runs: Iterable[PastRun], model_sizes: dict[str, int]
) -> MeasuredPace | None:
    """The pace of earlier runs, else of a dry run on this machine; None if there is neither.

    Args:
        state: the folder that remembers dry runs.
        runs: with the same base model.
        model_sizes: bytes of the base model's files.
    """
    earlier = pace_of(wanted, runs)
    if earlier is not None or not wanted.settings.is_local:
        return earlier

    return find_dry_pace(state, wanted.settings, model_sizes)


def pace_of(wanted: Wanted, runs: Iterable[PastRun]) -> MeasuredPace | None:
    """The pace that these runs show; None if none is comparable."""
    scaled = [each for each in map(wanted.scaled, runs) if each is not None]
    if not scaled:
        return None
    on_same_gpu = [each for each in scaled if each.doubt < OTHER_GPU]
    used = on_same_gpu or scaled
    return MeasuredPace(
        source=_source(used),
        seconds_per_step=_spread(used),
        seconds_per_validation=_median(each.seconds_per_validation for each in used),
        setup_seconds=_median(each.run.setup_seconds for each in used),
    )


def _spread(used: Sequence[Scaled]) -> Interval:
    """From the fastest to the slowest; the runs with the least doubt give the likely value, and at
    least their doubt around it."""
    least = min(each.doubt for each in used)
    likely = median(each.seconds_per_step for each in used if each.doubt == least)
    return Interval(
        min(likely / least, *(each.seconds_per_step for each in used)),
        likely,
        max(likely * least, *(each.seconds_per_step for each in used)),
    )


def _median(numbers: Iterable[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return median(known) if known else None


def _source(used: Sequence[Scaled]) -> str:
    """`run kalevala-1`; `3 runs, the newest kalevala-3, scaled to this work`"""
    newest = max(used, key=lambda each: each.run.result.ended_at).run.record.run
    name = f"run {newest}" if len(used) == 1 else f"{len(used)} runs, the newest {newest}"
    doubt = min(each.doubt for each in used)
    scaled = {OTHER_WORK: ", scaled to this work", OTHER_GPU: ", scaled to this GPU"}
    return name + scaled.get(doubt, "")
