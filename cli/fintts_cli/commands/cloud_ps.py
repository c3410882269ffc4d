"""`fintts cloud ps`: all runs in the store."""

from fintts_cli.commands.options import Config, Json, Quiet, S3EndpointUrl, Store


def ps(
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List all runs.

    Phase, step, loss, $ so far, $ to go, deadline.
    """
    from datetime import UTC, datetime

    from fintts_cli import wiring
    from fintts_cli.run_listing import look_at_all
    from fintts_cli.terminal import Terminal
    from fintts_cli.views.runs import render_runs

    terminal = Terminal(json=json, quiet=quiet)
    runs = wiring.open_runs(
        wiring.load_settings(terminal, {"store": store, "s3_endpoint_url": s3_endpoint_url}, config)
    )
    now = datetime.now(UTC)
    listing = look_at_all(runs, wiring.instance_of, now)
    for error in listing.broken:
        terminal.warn(error.message, error.hint)
    views = listing.views
    for state in wiring.live_elsewhere({view.run for view in views}):
        terminal.warn(
            f"run {state.run}, unknown to this store, has a live instance in {state.where}",
            f"`fintts cloud down {state.run}` ends it",
        )
    if json:
        terminal.document([view.to_json() for view in views])
    else:
        terminal.data(render_runs(views, now))
