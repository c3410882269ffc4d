"""`fintts cloud watch`: one run, live."""

from fintts_cli.commands.following import follow_live, refuse_bad_ending
from fintts_cli.commands.named_run import find_runs, pick_run
from fintts_cli.commands.opening import open_workplace
from fintts_cli.commands.options import Config, Json, Quiet, Run, S3EndpointUrl, Store
from fintts_cli.runs.clock import warn_of_wrong_clock
from fintts_cli.terminal.terminal import Terminal
from fintts_store.network.patience import IMPATIENT


def watch(
    run: Run = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show one run live.

    On a terminal, a screen with the progress, the validation curve, cost, deadline and GPU;
    elsewhere, a line for each event. Watches until the run ends. Ctrl-C leaves the run running and
    is not an error.
    """
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    runs = find_runs(
        terminal, here, run, config, IMPATIENT, store=store, s3_endpoint_url=s3_endpoint_url
    )
    name = pick_run(runs, run)
    warn_of_wrong_clock(runs, terminal.warn)
    try:
        view = follow_live(terminal, here, runs, name)
    except KeyboardInterrupt as interrupt:
        terminal.say(str(interrupt))
        return
    if json:
        terminal.document(view.to_json())
    refuse_bad_ending(view)
