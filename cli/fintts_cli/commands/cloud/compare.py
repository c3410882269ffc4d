"""`fintts cloud compare`: several runs in a table or on a page."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from fintts_cli.commands.named_run import find_runs, pick_run
from fintts_cli.commands.opening import open_workplace
from fintts_cli.commands.options import Config, Json, Quiet, S3EndpointUrl, Store
from fintts_cli.commands.page_file import Html, write_page
from fintts_cli.errors import UsageProblem
from fintts_cli.runs.clock import warn_of_wrong_clock
from fintts_cli.runs.instances.requested import instances_of
from fintts_cli.runs.report.read import read_report
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.html.pages import compared_page
from fintts_cli.views.report.comparison import render_comparison
from fintts_store.network.patience import IMPATIENT

Runs = Annotated[list[str], typer.Argument(metavar="RUN RUN…", help="Two runs or more.")]


def compare(
    runs: Runs,
    html: Html = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare several runs.

    Shows their results, costs and pace side by side, and the settings that differ.
    """
    terminal = Terminal(json=json, quiet=quiet)
    names = list(dict.fromkeys(runs))
    if len(names) < 2:
        raise UsageProblem("compare needs two runs or more", "`fintts cloud ps` lists all runs")
    here = open_workplace()
    found = find_runs(
        terminal, here, names[0], config, IMPATIENT, store=store, s3_endpoint_url=s3_endpoint_url
    )
    picked = [pick_run(found, name) for name in names]
    skew = warn_of_wrong_clock(found, terminal.warn)
    now, instance_of = datetime.now(UTC), instances_of(here)
    reports = [
        read_report(found, name, instance_of, now, terminal.warn, skew=skew) for name in picked
    ]
    if html is not None:
        write_page(html, compared_page(reports))
        terminal.say(f"wrote {html}")
    if json:
        terminal.document([report.to_json() for report in reports])
    elif html is None:
        terminal.data(render_comparison(reports, terminal.data_width))
