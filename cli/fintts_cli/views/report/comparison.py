"""Several runs side by side: their results, and the settings that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.views.fitting import fitting_table
from fintts_cli.views.report.settings_rows import settings_of
from fintts_cli.views.status.runs import phase_in_words, so_far
from fintts_cli.views.units import duration, share, table, value
from fintts_cost.money import NOTHING, dollars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cli.runs.report.report import RunReport

COLUMNS = (
    *("RUN", "ENDED", "STEPS", "BEST", "AT STEP", "MONITOR", "BILLED", "COST", "ESTIMATED"),
    *("A SAMPLE SEEN", "GPU", "S/STEP", "TOKENS/S", "MFU"),
)

DISPENSABLE = (
    *("TOKENS/S", "MFU", "A SAMPLE SEEN", "MONITOR", "S/STEP", "ESTIMATED", "GPU", "AT STEP"),
    *("ENDED", "BILLED", "STEPS"),
)
"""in the order in which a narrow terminal drops them"""


def render_comparison(reports: Sequence[RunReport], width: int | None = None) -> str:
    """A table of results, and one of the settings that differ.

    Args:
        width: columns of the terminal, for which the least important columns are dropped.
    """
    rows = comparison_rows(reports)
    text, dropped = fitting_table(COLUMNS, rows, DISPENSABLE, width, left=2)
    lines = [text, *([""] if dropped else []), *dropped]
    differing = differing_settings(reports)
    if differing:
        header = ("SETTING", *(report.view.run for report in reports))
        lines += ["", "What differs in the configuration", table(header, differing)]
    return "\n".join(lines)


def comparison_rows(reports: Sequence[RunReport]) -> list[tuple[str, ...]]:
    """One row for each run, in the order in which they were named."""
    return [_row(report) for report in reports]


def _row(report: RunReport) -> tuple[str, ...]:
    view, step = report.view, report.step
    return (
        view.run,
        phase_in_words(view),
        f"{view.step:,}/{view.max_steps:,}",
        value(view.best_value),
        NOTHING if view.best_step is None else f"{view.best_step:,}",
        report.stopping.config.monitor,
        duration(view.billed_seconds),
        so_far(view),
        dollars(report.estimated_cost_usd),
        dollars(report.cost_per_sample_seen_usd),
        view.gpus,
        NOTHING if step is None else f"{step.seconds:.3g}",
        NOTHING if step is None else f"{step.tokens_per_second:,.0f}",
        NOTHING if step is None else share(step.mfu),
    )


def differing_settings(reports: Sequence[RunReport]) -> list[tuple[str, ...]]:
    """(setting, value of each run), where the runs do not agree."""
    settings = [_settings(report) for report in reports]
    names = dict.fromkeys(name for each in settings for name in each)
    rows = [(name, *(each.get(name, NOTHING) for each in settings)) for name in sorted(names)]
    return [row for row in rows if len(set(row[1:])) > 1]


def _settings(report: RunReport) -> dict[str, str]:
    record = report.record
    return {
        **settings_of(record.config),
        "base model": f"{record.base_model.name} {record.base_model.digest[:12]}",
        "data": record.data_digest[:12],
        "fintts": record.fintts_version,
    }
