"""`fintts cloud logs`: prints the log of a run."""

from typing import Annotated

import typer

from fintts_cli.commands.named_run import find_runs, pick_run
from fintts_cli.commands.opening import open_workplace
from fintts_cli.commands.options import Config, Quiet, Run, S3EndpointUrl, Store
from fintts_cli.runs.status.logs import log_lines
from fintts_cli.terminal.terminal import Terminal
from fintts_store.network.patience import IMPATIENT
from fintts_store.runs.runs import read_run


def logs(
    run: Run = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Follow the log until the run ends.")
    ] = False,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    quiet: Quiet = False,
) -> None:
    """Print the log of a run.

    The log stays readable after the instance is gone.
    """
    terminal = Terminal(quiet=quiet)
    here = open_workplace()
    runs = find_runs(
        terminal, here, run, config, IMPATIENT, store=store, s3_endpoint_url=s3_endpoint_url
    )
    run = pick_run(runs, run)
    infra = here.infra(read_run(runs, run).infra)
    try:
        for line in log_lines(infra, runs, run, follow=follow):
            for part in line.splitlines():  # a progress bar comes back to the start of its line
                terminal.data(part)
            terminal.end_if_unread()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"run {run} continues") from None
