"""`fintts cloud ps`: all runs in the store."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from fintts_cli.commands.named_run import find_runs
from fintts_cli.commands.opening import open_workplace
from fintts_cli.commands.options import Config, Json, Quiet, S3EndpointUrl, Store
from fintts_cli.errors import CloudError
from fintts_cli.runs.clock import warn_of_wrong_clock
from fintts_cli.runs.instances.requested import (
    instances_of,
    live_elsewhere,
    store_launched_into,
    take_down,
)
from fintts_cli.runs.status.listing import look_at_all, write_news
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.timed_call import TimedCall
from fintts_cli.views.status.runs import render_runs
from fintts_cli.workplace.workplace import Workplace
from fintts_store.errors import StoreUnreachable
from fintts_store.network.patience import IMPATIENT
from fintts_store.opening import FOLDERS, backend_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cli.infra import InstanceState
    from fintts_cli.runs.status.view import RunView
    from fintts_store.store import Store as RunStore


AFTERWARDS_SECONDS = 5.0
"""A healthy store that has just answered needs far less."""


def ps(
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List all runs.

    Shows phase, step, loss, $ so far, $ to go and deadline. Removes a rented instance whose run has
    ended.
    """
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    runs = find_runs(
        terminal, here, None, config, IMPATIENT, store=store, s3_endpoint_url=s3_endpoint_url
    )
    if store is not None and backend_of(runs.url) is FOLDERS and not Path(runs.url).exists():
        terminal.warn(f"there is no folder {runs.url}; a launch makes it")
    listing = look_at_all(runs, instances_of(here), datetime.now(UTC))
    if _remove_idle(terminal, here, runs, listing.views):
        listing = look_at_all(runs, instances_of(here), datetime.now(UTC))
    _afterwards(terminal, runs, listing.views)
    for error in listing.broken:
        terminal.warn(error.message, error.hint)
    views = listing.views
    for state in live_elsewhere(here, {view.run for view in views}):
        tell_of(terminal, here, state)
    if json:
        terminal.document([view.to_json() for view in views])
    else:
        terminal.data(render_runs(views, datetime.now(UTC), terminal.data_width))


def tell_of(terminal: Terminal, here: Workplace, state: "InstanceState") -> None:
    """Names a live instance here whose run is not in this store, and the store that has it, if
    another one does."""
    other = store_launched_into(here, state.run)
    if other is not None:
        terminal.say(
            f"run {state.run} has an instance here but is in another store: "
            f"`fintts cloud ps --store {quote(other)}` shows it"
        )
        return
    terminal.warn(
        f"run {state.run}, which is not in this store, has a live instance in {state.where}",
        f"`fintts cloud down {state.run}` ends it",
    )


def _afterwards(terminal: Terminal, runs: "RunStore", views: "Sequence[RunView]") -> None:
    """Writes news and compares clocks, unless the store stops answering."""

    def write() -> None:
        for view in views:
            write_news(runs, view)

    def compare_clocks() -> None:
        warn_of_wrong_clock(runs, terminal.warn)

    for question in [
        TimedCall(runs.url, call, AFTERWARDS_SECONDS) for call in (write, compare_clocks)
    ]:
        with suppress(StoreUnreachable):
            question.result()


def _remove_idle(
    terminal: Terminal, here: Workplace, runs: "RunStore", views: "Sequence[RunView]"
) -> bool:
    """Removes the instance of a run that has ended, or whose deadline has passed before it had one;
    whether there was one.

    Such an instance ends itself. But after this machine was asleep, SkyPilot takes a spot instance
    that ended itself for a preempted one, and rents another.
    """
    idle = [view for view in views if view.only_bills]
    for view in idle:
        what = "waits for an instance, and its deadline has passed; the request is now taken back"
        if not view.is_too_late:
            what = "has ended; its instance is now removed"
        terminal.say(f"run {view.run} {what}")
        with suppress(CloudError):
            take_down(here, runs, view.run)
    return bool(idle)
