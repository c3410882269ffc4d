"""`fintts cloud prune`: removes old checkpoints, after showing them."""

from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.commands.named_run import find_runs, pick_run
from fintts_cli.commands.opening import open_workplace
from fintts_cli.commands.options import (
    Config,
    Json,
    NoInput,
    Quiet,
    Run,
    S3EndpointUrl,
    Store,
    Yes,
)
from fintts_cli.runs.report.kept import rule_of
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.upkeep.prune import document_of, render_plan
from fintts_store.checkpoints.retention import Rule
from fintts_store.runs.runs import read_run
from fintts_store.upkeep import pruning

if TYPE_CHECKING:
    from fintts_store.upkeep.pruning import PrunePlan


def prune(
    run: Run = None,
    keep_last: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Newest checkpoints to keep; by default the run's own number."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed; remove nothing.")
    ] = False,
    yes: Yes = False,
    no_input: NoInput = False,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Remove old checkpoints.

    Asks first. Keeps the newest checkpoints, the best, the one that the run was resumed from and
    pinned ones; also removes files that were never committed. You may prune a run that is training.
    """
    terminal = Terminal(json=json, quiet=quiet, no_input=no_input)
    here = open_workplace()
    runs = find_runs(terminal, here, run, config, store=store, s3_endpoint_url=s3_endpoint_url)
    run = pick_run(runs, run)
    rule = rule_of(read_run(runs, run))
    plan = pruning.plan_prune(runs, run, Rule(keep_last or rule.keep_last, rule.keep_best))
    for fault in plan.damaged:
        terminal.warn(f"{fault.place}: {fault.sentence}; it is kept")
    _show(terminal, plan, may_ask=not yes and not dry_run)
    gone = pruning.prune(runs, plan) if _agreed(terminal, plan, dry_run=dry_run, yes=yes) else []
    if json:
        terminal.document(document_of(plan, gone))
    if not dry_run:
        terminal.say(f"{len(gone)} removed")


def _show(terminal: Terminal, plan: "PrunePlan", *, may_ask: bool) -> None:
    """Shows the plan: as data, or beside a document as talk, which --quiet hides unless you have to
    say yes to it."""
    if not terminal.json:
        terminal.data(render_plan(plan))
    elif may_ask or not terminal.quiet:
        terminal.tell(render_plan(plan))


def _agreed(terminal: Terminal, plan: "PrunePlan", *, dry_run: bool, yes: bool) -> bool:
    """Whether to remove what was shown; ends the command if the user does not agree."""
    if dry_run or plan.is_empty:
        return False
    if yes:
        return True
    hint = "--yes removes without asking, --dry-run only shows"
    if not terminal.agrees("Remove them?", whether="remove them", hint=hint):
        terminal.say("nothing was removed")
        raise typer.Exit(1)
    return True
