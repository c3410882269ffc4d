"""`fintts cloud down`: tears the instance down now."""

from typing import TYPE_CHECKING

from fintts_cli.commands.named_run import find_runs, pick_run
from fintts_cli.commands.opening import open_workplace
from fintts_cli.commands.options import Config, Json, Quiet, Run, S3EndpointUrl, Store
from fintts_cli.errors import CheckFailed, CliError, UsageProblem
from fintts_cli.runs.instances.requested import (
    known_infra,
    launched_here,
    remove_instance,
    take_down,
)
from fintts_cli.runs.instances.requester import fate_of_asker
from fintts_cli.runs.instances.tear_down import what_goes_on
from fintts_cli.runs.status.stop_reason import how_it_stopped
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.timed_call import TimedCall
from fintts_cli.workplace.workplace import Workplace
from fintts_store.errors import StoreError, StoreUnreachable
from fintts_store.layout import is_run_name
from fintts_store.network.patience import IMPATIENT
from fintts_store.runs.noted_process import Fate

if TYPE_CHECKING:
    from fintts_cli.infra import Removed
    from fintts_store.runs.records import Result
    from fintts_store.store import Store as RunStore


ENDS_WITHIN_SECONDS = 90.0
"""Counted once the store has answered: time to read the run's records, each request with its own
limit, and to ask the cloud for an instance that another laptop launched."""


def down(
    run: Run = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tear down now.

    You lose what came after the last checkpoint; `fintts cloud stop` saves it. This needs only the
    cloud: it removes the instance even if the store does not answer.
    """
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    try:
        runs = find_runs(
            terminal, here, run, config, IMPATIENT, store=store, s3_endpoint_url=s3_endpoint_url
        )
    except (StoreError, CliError) as error:
        if run is None:
            raise
        raise _after(_remove(terminal, here, run, None), run, error) from error
    run = run or _newest(here, runs)
    result = _end(terminal, here, runs, run)
    if json:
        terminal.document({"run": run, "stop_reason": result.stop_reason, "step": result.step})
    ended = how_it_stopped(result.stop_reason, result.step)
    terminal.say(f"run {run} {ended}; nothing is running")


def _newest(here: Workplace, runs: "RunStore") -> str:
    try:
        return TimedCall(
            runs.url, lambda: pick_run(runs, None), here.answers_within_seconds
        ).result()
    except StoreUnreachable as error:
        known = ", ".join(launched_here(here))
        maybe = f"; launched from here, and maybe still running: {known}" if known else ""
        raise StoreUnreachable(
            f"{error.message}, so the newest run is unknown",
            f"`fintts cloud down RUN` needs no store{maybe}",
        ) from error


def _end(terminal: Terminal, here: Workplace, runs: "RunStore", run: str) -> "Result":
    """Asks the cloud and the store at the same time; the store has a time limit."""
    looked = TimedCall(runs.url, lambda: pick_run(runs, run), here.answers_within_seconds)
    if not is_run_name(run):  # nothing is labelled so: a slip, for which the store has a suggestion
        looked.result()
    removed = _remove(terminal, here, run, runs.url)
    try:
        looked.result()
        return TimedCall(runs.url, lambda: take_down(here, runs, run), ENDS_WITHIN_SECONDS).result()
    except (StoreError, UsageProblem) as error:
        if isinstance(error, UsageProblem) and removed.was_there and _is_being_launched(here, run):
            raise CheckFailed(
                f"the instance is gone, but the launch of run {run} is still under way",
                f"run `fintts cloud down {run}` again once it has ended",
            ) from error
        raise _after(removed, run, error) from error


def _is_being_launched(here: Workplace, run: str) -> bool:
    entry = here.entry(run)
    return entry is not None and fate_of_asker(entry.asked_by) == Fate.LIVES


def _remove(terminal: Terminal, here: Workplace, run: str, store: str | None) -> "Removed":
    try:
        removed = remove_instance(here, run, store)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(what_goes_on(known_infra(here, run), run)) from None
    for sentence in removed.remarks:
        terminal.warn(sentence)
    return removed


def _after(removed: "Removed", run: str, error: StoreError | CliError) -> StoreError | CliError:
    """The error, with what it means for the instance."""
    if isinstance(error, StoreUnreachable):
        gone = "the instance is gone" if removed.was_there else f"run {run} has no instance here"
        return StoreUnreachable(
            f"{gone}; but {error.message}, so the run may lack a result",
            f"run `fintts cloud down {run}` again to write it",
        )
    if not removed.was_there:
        return error
    sentence = f"the instance is gone; but {error.message}"
    if isinstance(error, StoreError):
        return StoreError(sentence, error.hint)
    return CheckFailed(sentence, error.hint)
