"""`fintts cloud stop`: lets the trainer save, upload and end, then tears the instance down."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fintts_cli.commands.following import follow_live
from fintts_cli.commands.named_run import find_runs, pick_run
from fintts_cli.commands.opening import open_workplace
from fintts_cli.commands.options import Config, Json, Quiet, Run, S3EndpointUrl, Store
from fintts_cli.errors import CheckFailed
from fintts_cli.places import LOCAL
from fintts_cli.runs.instances.requested import instances_of, take_down
from fintts_cli.runs.status.listing import look_at
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.workplace.workplace import Workplace
from fintts_store.network.patience import IMPATIENT
from fintts_store.runs.runs import readable_result, request_stop

if TYPE_CHECKING:
    from fintts_cli.runs.status.view import RunView
    from fintts_store.store import Store as RunStore


ENDS_WITHIN_SECONDS = 300.0
"""a step, a validation check, two minutes of grace for the last upload, and the teardown"""


def stop(
    run: Run = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Save, upload, then tear down.

    Asks the trainer to save and end; tears the instance down once it has, or after five minutes.
    """
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    runs = find_runs(
        terminal, here, run, config, IMPATIENT, store=store, s3_endpoint_url=s3_endpoint_url
    )
    run = pick_run(runs, run)
    if readable_result(runs, run) is None:
        request_stop(runs, run, "fintts cloud stop")
    try:
        view = follow_live(terminal, here, runs, run, limit_seconds=ENDS_WITHIN_SECONDS)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"run {run} will stop after it has saved; `fintts cloud watch {run}` shows it, "
            f"`fintts cloud down {run}` ends it now"
        ) from None
    view = _ended(here, runs, view)
    if json:
        terminal.document(view.to_json())
    terminal.say(f"run {run} {view.ending}; {_billing(view)}")


def _billing(view: "RunView") -> str:
    """What this machine knows of the instance; another machine's instance ends itself."""
    if view.instance_is_live is None and view.infra != LOCAL:
        return "another machine launched its instance, which ends itself within minutes"
    return "nothing is billed"


def _ended(here: Workplace, runs: "RunStore", view: "RunView") -> "RunView":
    """The run without an instance.

    Raises:
        CheckFailed: the run has not ended, and this machine does not know its instance.
    """
    if view.instance_is_live is None and view.stop_reason is None:
        raise CheckFailed(
            f"run {view.run} has not ended within {ENDS_WITHIN_SECONDS / 60:.0f} minutes",
            "your request stays in the store; this machine does not know the run's instance",
        )
    take_down(here, runs, view.run)
    return look_at(runs, view.run, instances_of(here), datetime.now(UTC))
