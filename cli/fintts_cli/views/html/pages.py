"""Renders pages. Each is one file, in which no text from a store can run."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fintts_cli.views.html.compared_page import ComparedPage
from fintts_cli.views.html.report_page import ReportPage
from fintts_cli.views.units import clock
from fintts_cost import __version__
from fintts_store.output.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from fintts_cli.runs.report.report import RunReport
    from fintts_cli.speech.stored import Heard
    from fintts_cli.views.html.listening_page import ListeningPage

PACKAGE = "fintts_cli.views.html"


def report_page(
    report: RunReport, refresh_seconds: int | None = None, heard: Sequence[Heard] = ()
) -> str:
    """The report of one run.

    Args:
        heard: samples of the run, which the page holds itself.
        refresh_seconds: until a browser reloads the page; None for a run that has ended.
    """
    page = ReportPage.of(report, heard)
    return _page("report.html.j2", page, report.view.run, report.now, refresh_seconds)


def compared_page(reports: Sequence[RunReport]) -> str:
    """Several runs on one page."""
    title = f"{len(reports)} runs compared"
    return _page("compare.html.j2", ComparedPage.of(reports), title, reports[0].now, None)


def listening_page(page: ListeningPage, written: datetime) -> str:
    """The samples of a run, with players."""
    return _page("listening.html.j2", page, f"{page.run}: samples", written, None)


def _page(
    template: str,
    page: ReportPage | ComparedPage | ListeningPage,
    title: str,
    written: datetime,
    refresh_seconds: int | None,
) -> str:
    script = _part("script.js")
    return (
        _environment()
        .get_template(template)
        .render(
            page=page,
            title=title,
            style=Markup(_part("style.css")),
            script=Markup(script),
            script_digest=_digest(script),
            refresh=refresh_seconds,
            written=f"{clock(written)} UTC",
            version=__version__,
        )
    )


@cache
def _environment() -> Environment:
    """Escapes every value, and shows control characters as text."""
    return Environment(
        loader=PackageLoader(PACKAGE, "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: object) -> object:
    """Text from a store without control characters and secrets; our own markup as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _part(name: str) -> str:
    return (files(PACKAGE) / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """The hash by which a Content-Security-Policy allows a script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
