"""The values on the page that compares several runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from fintts_cli.views.grid import Grid
from fintts_cli.views.html.curves import compared
from fintts_cli.views.report.comparison import COLUMNS, comparison_rows, differing_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cli.runs.report.report import RunReport
    from fintts_cli.views.html.chart import Chart


@dataclass(frozen=True, slots=True)
class ComparedPage:
    """The values of `compare.html.j2`."""

    where: str
    warnings: Sequence[str]
    charts: Sequence[Chart]
    results: Grid
    differences: Grid

    @classmethod
    def of(cls, reports: Sequence[RunReport]) -> Self:
        """The page of these runs."""
        names = [report.view.run for report in reports]
        return cls(
            where=" · ".join(names),
            warnings=[
                f"{report.view.run}: {sentence}"
                for report in reports
                for sentence in report.warnings
            ],
            charts=compared(reports),
            results=Grid([name.lower() for name in COLUMNS], comparison_rows(reports), text=2),
            differences=Grid(("setting", *names), differing_settings(reports)),
        )
