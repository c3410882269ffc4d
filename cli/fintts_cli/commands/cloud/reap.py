"""`fintts cloud reap`: finds instances that have no reason to live, and removes them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.commands.opening import load_settings, open_workplace
from fintts_cli.commands.options import (
    Config,
    Json,
    NoInput,
    Quiet,
    S3EndpointUrl,
    Store,
)
from fintts_cli.errors import CheckFailed, CloudError
from fintts_cli.runs.reap.judgement import Judgement
from fintts_cli.runs.reap.search import look_everywhere, remove, write_ends
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.units import counted
from fintts_cli.views.upkeep.reap import document_of, render_findings
from fintts_cli.workplace.workplace import Workplace

if TYPE_CHECKING:
    from fintts_cli.runs.reap.search import Findings, JudgedInstance


def reap(
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Remove orphans without asking.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show live instances; remove nothing.")
    ] = False,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
    no_input: NoInput = False,
) -> None:
    """Remove instances that no run needs.

    Finds instances past their deadline or without a run, by this machine's journal, SkyPilot's
    state and AWS's own list, and asks before it removes them. Leaves training runs alone, other
    machines' too, so cron can call it with --yes --quiet. Asks separately about an instance that
    may be someone else's; --yes leaves such an instance alone.
    """
    terminal = Terminal(json=json, quiet=quiet, no_input=no_input)
    here = open_workplace()
    options = {"store": store, "s3_endpoint_url": s3_endpoint_url}
    runs = here.store_of(load_settings(terminal, options, config))
    found = look_everywhere(here, runs, datetime.now(UTC))
    _show(terminal, found)
    chosen = [] if dry_run else _choose(terminal, found, yes=yes)
    after, failed = _remove(terminal, here, found, chosen)
    if json:
        terminal.document(document_of(found, after))
    _refuse_what_is_left(found, after, failed, dry_run=dry_run)


def _show(terminal: Terminal, found: "Findings") -> None:
    """Shows the census; --quiet leaves only what is wrong, --json moves the table to stderr."""
    is_right = len(found.of(Judgement.KEPT)) == len(found.judged)
    if terminal.json:
        terminal.say(render_findings(found))
    elif not (terminal.quiet and is_right):
        terminal.data(render_findings(found))
    for sentence in found.remarks:
        terminal.say(sentence)


def _choose(terminal: Terminal, found: "Findings", *, yes: bool) -> "list[JudgedInstance]":
    """The orphans, if the user agrees, and the doubtful ones that the user agrees to one by one."""
    orphans = found.of(Judgement.ORPHAN)
    if orphans and not yes:
        question = f"Remove {counted(len(orphans), 'orphan')}?"
        hint = "--yes removes without asking, --dry-run only shows"
        if not terminal.agrees(question, whether="remove the orphans", hint=hint):
            orphans = []
    doubtful = found.of(Judgement.DOUBTFUL)
    if yes or not terminal.may_ask:
        for one in doubtful:
            terminal.warn(
                f"{one.sighting.holder} {one.sighting.where} stays: {one.reason}",
                "run `fintts cloud reap` in a terminal to decide",
            )
        return orphans
    named = [one for one in doubtful if terminal.confirm(f"Remove {one.sighting.where} as well?")]
    return [*orphans, *named]


def _remove(
    terminal: Terminal, here: Workplace, found: "Findings", chosen: "list[JudgedInstance]"
) -> "tuple[list[JudgedInstance], list[JudgedInstance]]":
    """Tries to remove each without waiting for a store; returns the removed ones, and those that
    could not be removed."""
    removed, failed = list["JudgedInstance"](), list["JudgedInstance"]()
    for one in chosen:
        try:
            removed.append(remove(here, one))
        except CloudError as error:
            failed.append(one)
            terminal.warn(error.message, error.hint)
        else:
            terminal.say(f"{one.sighting.holder} {one.sighting.where} is gone")
    ended = {one.sighting: one for one in write_ends(here, removed)}
    for one in ended.values():
        if one.remark is not None:
            terminal.warn(one.remark)
    return [ended.get(one.sighting, one) for one in found.judged], failed


def _refuse_what_is_left(
    found: "Findings",
    after: "list[JudgedInstance]",
    failed: "list[JudgedInstance]",
    *,
    dry_run: bool,
) -> None:
    """Raises CloudError if something may be billing unattended, CheckFailed if the user leaves it
    so."""
    if failed:
        raise CloudError(
            f"{counted(len(failed), 'instance')} could not be removed, and may be billing",
            "see the warnings above; run it again, or check the cloud's console",
        )
    if found.unanswered:
        raise CloudError("; ".join(found.unanswered), "there may be more instances; run it again")
    left = [one for one in after if one.verdict == Judgement.ORPHAN and not one.is_removed]
    if left and not dry_run:
        raise CheckFailed(f"{counted(len(left), 'orphan')} not removed, and still billing")
