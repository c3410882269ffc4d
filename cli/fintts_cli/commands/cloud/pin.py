"""`fintts cloud pin` and `unpin`: one checkpoint stays, whatever rotation would do."""

from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.commands.opening import find_runs, open_workplace, pick_run
from fintts_cli.commands.options import Config, Json, Quiet, S3EndpointUrl, Store
from fintts_cli.errors import UsageProblem
from fintts_cli.terminal import Terminal
from fintts_store.checkpoints.commit import list_commits
from fintts_store.checkpoints.removal import list_pins
from fintts_store.upkeep import pruning

if TYPE_CHECKING:
    from collections.abc import Collection

    from fintts_store.store import Store as RunStore


PinnedRun = Annotated[str, typer.Argument(metavar="RUN", show_default=False)]
Step = Annotated[int, typer.Argument(metavar="STEP", min=0, show_default=False)]


def pin(
    run: PinnedRun,
    step: Step,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Keep one checkpoint.

    Neither the run's rotation nor `fintts cloud prune` removes it; it takes no place
    among the last ones.
    """
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    runs = find_runs(terminal, here, run, config, store=store, s3_endpoint_url=s3_endpoint_url)
    pick_run(runs, run)
    steps = {name.step for name in list_commits(runs, run)}
    if step not in steps:
        raise _unknown(f"run {run} has no checkpoint of step {step}", "there are", steps)
    pruning.pin(runs, run, step)
    _tell(terminal, runs, run, f"step {step} of run {run} stays until `fintts cloud unpin`")


def unpin(
    run: PinnedRun,
    step: Step,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take a pin away.

    The run's next rotation may remove the checkpoint.
    """
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    runs = find_runs(terminal, here, run, config, store=store, s3_endpoint_url=s3_endpoint_url)
    pick_run(runs, run)
    if not pruning.unpin(runs, run, step):
        steps = {name.step for name in list_pins(runs, run)}
        raise _unknown(f"step {step} of run {run} is not pinned", "pinned are", steps)
    _tell(terminal, runs, run, f"step {step} of run {run} is not pinned any more")


def _unknown(sentence: str, listed: str, steps: "Collection[int]") -> UsageProblem:

    named = ", ".join(str(step) for step in sorted(steps)) or "none"
    return UsageProblem(sentence, f"{listed} {named}")


def _tell(terminal: Terminal, runs: "RunStore", run: str, sentence: str) -> None:

    if terminal.json:
        steps = sorted({name.step for name in list_pins(runs, run)})
        terminal.document({"run": run, "pinned_steps": steps})
    terminal.say(sentence)
