"""`fintts cloud pin` and `unpin`: exempt a checkpoint from rotation, or end that."""

from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.commands.named_run import find_runs, pick_run
from fintts_cli.commands.opening import open_workplace
from fintts_cli.commands.options import Config, Json, Quiet, S3EndpointUrl, Store
from fintts_cli.errors import UsageProblem
from fintts_cli.terminal.terminal import Terminal
from fintts_store.checkpoints.listing import list_commits
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
    """Pin a checkpoint.

    Neither the run's rotation nor `fintts cloud prune` removes a pinned checkpoint; it does not
    count as one of the newest to keep.
    """
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    runs = find_runs(terminal, here, run, config, store=store, s3_endpoint_url=s3_endpoint_url)
    pick_run(runs, run)
    steps = {name.step for name in list_commits(runs, run)}
    if step not in steps:
        sentence = f"run {run} has no checkpoint of step {step}"
        raise _unknown(
            sentence, steps, "the run has checkpoints of steps", "the run has no checkpoint yet"
        )
    pruning.pin(runs, run, step)
    _tell(terminal, runs, run, f"step {step} of run {run} is kept until you unpin it")


def unpin(
    run: PinnedRun,
    step: Step,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Unpin a checkpoint.

    The run's next rotation may remove the checkpoint.
    """
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    runs = find_runs(terminal, here, run, config, store=store, s3_endpoint_url=s3_endpoint_url)
    pick_run(runs, run)
    if not pruning.unpin(runs, run, step):
        steps = {name.step for name in list_pins(runs, run)}
        sentence = f"step {step} of run {run} is not pinned"
        raise _unknown(sentence, steps, "these steps are pinned:", "no checkpoint is pinned")
    _tell(terminal, runs, run, f"step {step} of run {run} is no longer pinned")


def _unknown(sentence: str, steps: "Collection[int]", listed: str, none: str) -> UsageProblem:
    named = ", ".join(str(step) for step in sorted(steps))
    return UsageProblem(sentence, f"{listed} {named}" if named else none)


def _tell(terminal: Terminal, runs: "RunStore", run: str, sentence: str) -> None:
    if terminal.json:
        steps = sorted({name.step for name in list_pins(runs, run)})
        terminal.document({"run": run, "pinned_steps": steps})
    terminal.say(sentence)
