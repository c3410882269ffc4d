"""The words of a run's report, which its text and its page share."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from fintts_cli.views.units import clock, counted, duration, share, signed, size
from fintts_cost.money import dollars, dollars_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from fintts_cli.runs.report.phases import PhaseDifference
    from fintts_cli.runs.report.report import RunReport
    from fintts_cli.runs.report.step import StepShares
    from fintts_cost.interval import Interval
    from fintts_store.runs.run_record import RecordingsRef

NOUNS = {"training": "step", "validation": "check"}
BEYOND_THE_TRAINER = {
    "setup": "from the request to the first step",
    "encoding": "of encoding recordings",
    "teardown": "from the last step until the instance was gone",
    "checkpoint": "of waiting for checkpoints to reach the disk",
    "samples": "of speaking; the estimate counts the limit, samples.seconds_a_check",
}
SAME_PACE = 0.01
"""a smaller relative difference in pace counts as none"""


def reasons(report: RunReport) -> list[tuple[str, str]]:
    """Each phase, and why it took longer or shorter than estimated, if that is known."""
    known = [(phase.phase, _reason(phase)) for phase in report.phases]
    return [(phase, reason) for phase, reason in known if reason]


def _reason(phase: PhaseDifference) -> str:
    noun = NOUNS.get(phase.phase)
    if phase.difference_seconds is None:
        return ""
    if noun is None:
        assumed = "; the estimate assumes none" if phase.estimated_seconds == 0 else ""
        return f"{signed(phase.difference_seconds)} {BEYOND_THE_TRAINER[phase.phase]}{assumed}"
    return "; ".join(_by_count_and_pace(phase, noun))


def _by_count_and_pace(phase: PhaseDifference, noun: str) -> Iterator[str]:
    planned, actual = phase.estimated_times, phase.actual_times
    if planned is None or actual is None:
        return
    more = actual.pieces - planned.pieces
    if more:
        which = "more" if more > 0 else "fewer"
        yield f"{signed(phase.by_count_seconds)} by {counted(abs(more), noun)} {which}"
    was, became = planned.seconds_each, actual.seconds_each
    if was and abs(became / was - 1) >= SAME_PACE:
        yield f"{signed(phase.by_pace_seconds)} by {became:.3g} s a {noun} instead of {was:.3g} s"
    elif not more:
        yield f"{signed(phase.difference_seconds)}, nearly as estimated"


def plan_lines(report: RunReport) -> list[str]:
    """A line each for the ranges of the estimate and the re-plan, if the run has them."""
    lines: list[str] = []
    if report.estimated_cost_range is not None:
        line = f"the estimate: {_usd(report.estimated_cost_range)}"
        if report.estimated_seconds_range is not None:
            line += f", {_time(report.estimated_seconds_range)}"
        lines.append(line)
    if report.replan is not None:
        plan = report.replan
        lines.append(
            f"re-planned at step {plan.step:,} ({clock(plan.at)} UTC), for all "
            f"{report.view.max_steps:,} steps: {_usd(plan.usd)}, {_time(plan.seconds)}; "
            f"{counted(plan.checks_that_fit, 'check')} before the deadline"
        )
    return lines


def _usd(span: Interval) -> str:
    low, likely, high = map(dollars_of, span)
    return low if low == high else f"{low} to {high}, most likely {likely}"


def _time(span: Interval) -> str:
    low, high = duration(span.low), duration(span.high)
    return low if low == high else f"{low} to {high}"


def device_lines(step: StepShares) -> list[str]:
    """How fast a step works, and how much of the device it uses."""
    peak = size(round(step.memory_peak_bytes))
    memory = f"{peak} of {size(round(step.gpu_memory_bytes))}" if step.gpu_memory_bytes else peak
    lines = [
        f"{step.tokens_per_second:,.0f} tokens/s without padding; padding is "
        f"{step.padding_share:.1%} of what the model reads",
        f"{step.mfu:.1%} of this device's measured peak (MFU); peak memory {memory}",
    ]
    if step.gpu_utilisation is not None:
        lines.append(f"the GPU is busy {share(step.gpu_utilisation)} of the time")
    return lines


def saved_line(report: RunReport) -> str:
    """What stopping early saved; empty if it did not."""
    saved = report.saved
    if saved is None:
        return ""
    return (
        f"stopping early saved {counted(saved.steps, 'step')}: {duration(saved.seconds)} and "
        f"{dollars(saved.usd)}"
    )


def sample_lines(report: RunReport) -> list[str]:
    """The cost of a sample."""
    unique, seen = report.cost_per_unique_sample_usd, report.cost_per_sample_seen_usd
    lines: list[str] = []
    if unique is not None:
        utterances = report.record.size.utterances
        lines.append(f"{dollars(unique)} for each of {counted(utterances, 'utterance')}")
    if seen is not None and report.samples_seen is not None:
        lines.append(f"{dollars(seen)} for each of {counted(report.samples_seen, 'sample')} seen")
    return lines


def recordings_line(recordings: RecordingsRef) -> str:
    """2.4 h in 1,200 recordings, encoded by the codec 0f1e2d3c4b5a"""
    hours = recordings.seconds / 3600
    count = counted(recordings.utterances, "recording")
    return f"{hours:.2f} h in {count}, encoded by the codec {recordings.codec[:12]}"


def price_line(report: RunReport) -> str:
    """price from SkyPilot's catalog, as of 2026-10-01, 53 days before the launch"""
    if not report.price_as_of:
        return f"price from {report.price_source}"
    line = f"price from {report.price_source}, as of {report.price_as_of}"
    days = _age_days(report.price_as_of, report.record.created_at)
    return line if days is None else f"{line}, {counted(days, 'day')} before the launch"


def _age_days(as_of: str, launched: datetime) -> int | None:
    """None for a date that cannot be read, or a list from that day."""
    try:
        days = (launched.date() - date.fromisoformat(as_of)).days
    except ValueError:
        return None
    return days if days > 0 else None


def rule_line(report: RunReport) -> str:
    """The early-stopping rule."""
    config = report.stopping.config
    if not config.enabled:
        return "early stopping is off"
    least = f" by more than {config.min_delta:g}" if config.min_delta else ""
    return (
        f"{config.monitor}, {config.mode}; the run stops after "
        f"{counted(config.patience, 'check')} in a row without improvement{least}"
    )
