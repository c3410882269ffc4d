"""What the page of several runs shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from fintts_cli.views.comparison import COLUMNS, comparison_rows, differing_settings
from fintts_cli.views.html.curves import compared
from fintts_cli.views.html.tables import Grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cli.runs.report.report import RunReport
    from fintts_cli.views.html.chart import Chart

TEXT = frozenset({0, 1, COLUMNS.index("GPU")})


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
            results=Grid([name.lower() for name in COLUMNS], comparison_rows(reports), TEXT),
            differences=Grid(("setting", *names), differing_settings(reports)),
        )
