"""`fintts cloud pull-checkpoints`: downloads a run's checkpoints and verifies them."""

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.checkpoints.card import adapter_card, opening_lines
from fintts_cli.checkpoints.licence import licence_in_store
from fintts_cli.checkpoints.pull import Choice, bring
from fintts_cli.commands.named_run import find_runs, pick_run
from fintts_cli.commands.opening import open_workplace
from fintts_cli.commands.options import Config, Json, Quiet, Run, S3EndpointUrl, Store
from fintts_cli.commands.targets import refuse_in_store, refuse_unwritable
from fintts_cli.errors import UsageProblem
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.units import value
from fintts_store.errors import InvalidRecord, KeyNotFound
from fintts_store.runs.runs import read_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from fintts_cli.checkpoints.pull import Pulled
    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.store import Store as RunStore


def pull_checkpoints(
    run: Run = None,
    best: Annotated[bool, typer.Option("--best", help="Only the best checkpoint.")] = False,
    last: Annotated[bool, typer.Option("--last", help="Only the newest checkpoint.")] = False,
    step: Annotated[
        int | None, typer.Option(metavar="N", help="Only the checkpoint of this step.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Target folder; by default ./checkpoints/RUN."),
    ] = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Download checkpoints.

    Downloads all kept checkpoints by default, each to DIR/checkpoint-STEP/, and verifies them. Does
    not download again what you have already.
    """
    if best + last + (step is not None) > 1:
        raise UsageProblem("--best, --last and --step exclude each other", "give only one of them")
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    runs = find_runs(terminal, here, run, config, store=store, s3_endpoint_url=s3_endpoint_url)
    run = pick_run(runs, run)
    target = to or Path("checkpoints") / run
    refuse_in_store(target, runs.url, "--to")
    refuse_unwritable(target, "--to")
    choice = Choice(best=best, last=last, step=step)
    pulled, damaged = bring(runs, run, choice, target, _card(runs, run), terminal)
    if json:
        checkpoints = [one.to_json() for one in pulled]
        terminal.document({"run": run, "to": str(target), "checkpoints": checkpoints})
    else:
        for one in pulled:
            if one.trouble is None:
                terminal.data(str(one.path))
    _conclude(pulled, terminal.say)
    _say_next(runs, run, pulled, terminal.say)
    if choice.is_all:  # and not all are here
        damaged.refuse()


def _card(runs: "RunStore", run: str) -> "Callable[[Manifest], str] | None":
    """Makes the model card of a checkpoint; without run.json there is no card."""
    try:
        record = read_run(runs, run)
    except (InvalidRecord, KeyNotFound):
        return None
    return partial(adapter_card, record, licence=licence_in_store(runs, record))


def _conclude(pulled: "list[Pulled]", say: "Callable[[str], None]") -> None:
    """Says which checkpoint is the best; raises the error of one that did not arrive."""
    troubles = [one.trouble for one in pulled if one.trouble is not None]
    if troubles:
        raise troubles[0]
    chosen = _chosen(pulled)
    if chosen.is_best:
        manifest = chosen.manifest
        say(f"best: step {manifest.step}, {manifest.monitor} {value(manifest.value)}")


def _chosen(pulled: "list[Pulled]") -> "Pulled":
    return next((one for one in pulled if one.is_best), pulled[-1])


def _say_next(
    runs: "RunStore",
    run: str,
    pulled: "list[Pulled]",
    say: "Callable[[str], None]",
) -> None:
    """Shows Python code that opens the checkpoint; without run.json its base model is unknown."""
    with suppress(InvalidRecord, KeyNotFound):
        record = read_run(runs, run)
        base = str(record.config.get("base_model"))
        here = base if _is_folder(base) else None
        lines = opening_lines(record, str(_chosen(pulled).path.absolute()), here)
        say("\n".join(["next, in Python:", *lines]))


def _is_folder(name: str) -> bool:
    """Whether the path that a record names, perhaps on another machine, exists here."""
    with suppress(OSError):
        return Path(name).is_dir()
    return False
