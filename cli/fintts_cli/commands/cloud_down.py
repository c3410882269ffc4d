"""`fintts cloud down`: tears the instance down now."""

from typing import TYPE_CHECKING

from fintts_cli.commands.options import Config, Json, Quiet, Run, S3EndpointUrl, Store

if TYPE_CHECKING:
    from fintts_store.runs.records import Result
    from fintts_store.store import Store as RunStore


def down(
    run: Run = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tear down now.

    What came after the last checkpoint is lost; `fintts cloud stop` saves it.
    """
    from fintts_cli import wiring
    from fintts_cli.ending import what_goes_on
    from fintts_cli.errors import CheckFailed, UsageProblem
    from fintts_cli.terminal import Terminal
    from fintts_store.errors import StoreError

    terminal = Terminal(json=json, quiet=quiet)
    given, runs = run, None
    try:
        runs = wiring.find_runs(terminal, run, config, store=store, s3_endpoint_url=s3_endpoint_url)
        run = wiring.pick_run(runs, run)
        result = take_down(runs, run)
    except (StoreError, UsageProblem) as error:
        if given is not None and wiring.end_what_lives(given, runs):
            raise CheckFailed(f"the instance is gone; but {error.message}", error.hint) from error
        raise
    except KeyboardInterrupt:
        if run is None:
            raise
        raise KeyboardInterrupt(what_goes_on(wiring.known_infra(run), run)) from None
    if json:
        terminal.document({"run": run, "stop_reason": result.stop_reason, "step": result.step})
    terminal.say(f"run {run} has no instance any more, and has ended ({result.stop_reason})")


def take_down(runs: "RunStore", run: str) -> "Result":
    """Removes the run's instance and makes sure that it has a result."""
    from datetime import UTC, datetime

    from fintts_cli import wiring
    from fintts_cli.ending import tear_down
    from fintts_cli.run_listing import look_at

    now = datetime.now(UTC)
    view = look_at(runs, run, wiring.instance_of, now)
    infra = wiring.infra_of(view.infra)
    return tear_down(runs, infra, wiring.open_journal(), view, now)
