"""`fintts cloud tensorboard`: shows a run's curves in TensorBoard."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from fintts_cli.commands.named_run import find_runs, pick_run
from fintts_cli.commands.opening import open_workplace
from fintts_cli.commands.options import Config, Quiet, Run, S3EndpointUrl, Store
from fintts_cli.errors import CheckFailed, UsageProblem
from fintts_cli.runs.curves import fetch_event_files
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.units import counted

HERE = "127.0.0.1"


def tensorboard(
    run: Run = None,
    port: Annotated[
        int,
        typer.Option(metavar="PORT", min=0, max=65535, help="Port on this machine; 0: a free one."),
    ] = 6006,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    quiet: Quiet = False,
) -> None:
    """Open a run's curves in TensorBoard.

    Fetches the event files, which a run uploads when it ends, and serves them to this machine only,
    until Ctrl-C.
    """
    terminal = Terminal(json=False, quiet=quiet)
    if find_spec("tensorboard") is None:
        raise UsageProblem("TensorBoard is not installed here", "pip install tensorboard")
    here = open_workplace()
    runs = find_runs(terminal, here, run, config, store=store, s3_endpoint_url=s3_endpoint_url)
    run = pick_run(runs, run)
    with TemporaryDirectory(prefix="fintts-curves-") as folder:
        files = fetch_event_files(runs, run, Path(folder))
        if not files:
            raise CheckFailed(
                f"run {run} has no curves for TensorBoard in the store yet",
                f"it uploads them when it ends; `fintts cloud report {run}` has the curves so far",
            )
        terminal.say(f"{counted(files, 'event file')} of run {run}; Ctrl-C ends TensorBoard")
        _show(Path(folder), port)


def _show(folder: Path, port: int) -> None:
    """Runs TensorBoard until it ends or Ctrl-C."""
    where = ("--logdir", str(folder), "--host", HERE, "--port", str(port))
    program = ("-m", "tensorboard.main", "serve", "--load_fast", "false")
    shown = subprocess.Popen([sys.executable, "-P", *program, *where])
    try:
        code = shown.wait()
    except KeyboardInterrupt:  # the terminal has sent it to TensorBoard, too
        shown.terminate()
        shown.wait()
        return
    if code != 0:
        raise CheckFailed("TensorBoard has ended", "see its output above")
