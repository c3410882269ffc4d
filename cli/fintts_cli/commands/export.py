"""`fintts export`: exports a checkpoint for PEFT, or merged into the base model's own format."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.checkpoints.export import Export
from fintts_cli.checkpoints.export_format import Format
from fintts_cli.checkpoints.pull import Choice, find_checkpoints
from fintts_cli.commands.named_run import find_runs, pick_run
from fintts_cli.commands.opening import open_workplace
from fintts_cli.commands.options import Config, Json, Quiet, Run, S3EndpointUrl, Store
from fintts_cli.commands.targets import refuse_in_store, refuse_unwritable
from fintts_cli.errors import UsageProblem
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.trainer_process.local_trainer import require_trainer
from fintts_cli.views.units import size
from fintts_store.runs.runs import read_run

if TYPE_CHECKING:
    from fintts_cli.checkpoints.export import Exported


def export(
    run: Run = None,
    *,
    format: Annotated[
        Format, typer.Option(help="peft: only the adapter. fish: merged, for Fish Speech.")
    ],
    last: Annotated[
        bool, typer.Option("--last", help="Export the newest checkpoint instead.")
    ] = False,
    step: Annotated[
        int | None, typer.Option(metavar="N", help="Export the checkpoint of this step instead.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Target folder; by default ./exports/RUN-STEP-FORMAT."),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Base model; by default the store's copy."),
    ] = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Export the best checkpoint of a run.

    The folder gets a model card with run, step and licence. An export that exists already stays as
    it is.
    """
    if last and step is not None:
        raise UsageProblem("--last and --step exclude each other", "give only one of them")
    if format is Format.FISH:
        require_trainer()
    if to is not None:
        refuse_unwritable(to, "--to")
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    runs = find_runs(terminal, here, run, config, store=store, s3_endpoint_url=s3_endpoint_url)
    run = pick_run(runs, run)
    manifests, _ = find_checkpoints(runs, run, terminal, step)
    is_best = not last and step is None
    (manifest,) = Choice(best=is_best, last=last, step=step).of(manifests)
    one = Export(runs, read_run(runs, run), manifest, format, base, terminal.say, terminal.transfer)
    target = to or Path("exports") / f"{run}-{manifest.step}-{format}"
    refuse_in_store(target, runs.url, "--to")
    exported = one.to(target)
    _show(terminal, exported)


def _show(terminal: Terminal, exported: "Exported") -> None:
    record = exported.record
    state = "exists already, verified" if exported.was_there else size(record.size_bytes)
    terminal.say(f"{record.origin.run}, step {record.origin.step}: {exported.path} ({state})")
    terminal.say(f"licence: {record.licence}; see the README.md in that folder")
    if terminal.json:
        terminal.document(exported.to_json())
    else:
        terminal.data(str(exported.path))
