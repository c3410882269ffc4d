"""`fintts cloud watch`: one run, live."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fintts_cli.commands.named_run import find_runs, pick_run
from fintts_cli.commands.opening import open_workplace
from fintts_cli.commands.options import Config, Json, Quiet, Run, S3EndpointUrl, Store
from fintts_cli.errors import CheckFailed, CloudError
from fintts_cli.runs.instances.requested import instances_of, take_down
from fintts_cli.runs.instances.tear_down import goes_on, unknown_end
from fintts_cli.runs.status.follow import follow
from fintts_cli.runs.status.listing import look_at, write_news
from fintts_cli.terminal import LiveLine, Terminal
from fintts_cli.views.runs import render_live_line
from fintts_cli.workplace import Workplace
from fintts_store.patience import IMPATIENT

if TYPE_CHECKING:
    from fintts_cli.runs.status.view import RunView
    from fintts_store.errors import StoreUnreachable
    from fintts_store.store import Store as RunStore


def watch(
    run: Run = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show one run live.

    Watches until the run ends; Ctrl-C leaves the run alone.
    """
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    runs = find_runs(
        terminal, here, run, config, IMPATIENT, store=store, s3_endpoint_url=s3_endpoint_url
    )
    view = follow_live(terminal, here, runs, pick_run(runs, run))
    if json:
        terminal.document(view.to_json())
    refuse_bad_ending(view)


def follow_live(
    terminal: Terminal,
    here: Workplace,
    runs: "RunStore",
    run: str,
    *,
    limit_seconds: float | None = None,
) -> "RunView":
    """Shows a live line until the run ends. Ctrl-C, or a closed output, ends the line and leaves
    the run alone."""
    line = LiveLine(terminal)

    def look() -> "RunView":
        view = look_at(runs, run, instances_of(here), datetime.now(UTC))
        write_news(runs, view)
        if not view.only_bills:
            return view
        with suppress(CloudError):  # it is about to end itself
            take_down(here, runs, run)
        return look_at(runs, run, instances_of(here), datetime.now(UTC))

    def show(view: "RunView") -> None:
        line.remark(view.message)
        text = render_live_line(view, datetime.now(UTC), width=terminal.live_width)
        line.show(text, mark=view.milestone)
        terminal.end_if_unread()

    def excuse(error: "CloudError | StoreUnreachable") -> None:
        line.close()
        terminal.warn(f"{error.message}; run {run} is not affected; trying again in a moment")

    try:
        view = follow(look, show, time.sleep, excuse, limit_seconds=limit_seconds)
    except KeyboardInterrupt:
        line.close()
        raise KeyboardInterrupt(goes_on(run)) from None
    line.close()
    return view


def refuse_bad_ending(view: "RunView") -> None:
    """Raises CheckFailed if the run did not end well, InvalidRecord if its record is damaged."""
    if view.stop_reason is None and view.damaged:
        raise unknown_end(view.run, view.damaged[-1])
    if not view.ended_well:
        raise CheckFailed(
            view.message or f"run {view.run}: {view.ending}",
            f"`fintts cloud logs {view.run}` says more",
        )
