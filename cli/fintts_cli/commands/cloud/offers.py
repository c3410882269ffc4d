"""`fintts cloud offers`: every offer for a GPU, and what this run would cost on it."""

from datetime import UTC, datetime

from fintts_cli.commands.opening import open_workplace, read_sources, with_base_model
from fintts_cli.commands.options import (
    Budget,
    Config,
    Gpus,
    Infra,
    Json,
    Quiet,
    S3EndpointUrl,
    Spot,
    Store,
)
from fintts_cli.errors import UsageProblem
from fintts_cli.estimate.offers import on_every_gpu, refuse_what_cannot_be
from fintts_cli.estimate.run_inputs import RunInputs
from fintts_cli.places import LOCAL
from fintts_cli.settings.option_names import naming_origins
from fintts_cli.settings.read import read_settings
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.prices.offers import document_of, render_offers
from fintts_cost.prices.age import old_list


def offers(
    gpus: Gpus = None,
    spot: Spot = None,
    infra: Infra = None,
    budget: Budget = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List every offer for a GPU.

    Shows $ an hour and the predicted time and cost of this run, cheapest first. Prices come from
    SkyPilot, if it is installed with a cloud enabled; else from the dated list that fintts ships.
    """
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    if infra == LOCAL:
        raise UsageProblem("this machine cannot be rented", "name a cloud, or leave it out")
    place: dict[str, object] = {"store": store, "s3_endpoint_url": s3_endpoint_url}
    options = place | {"gpus": gpus, "infra": infra, "spot": spot, "budget_usd": budget}
    found = read_sources(terminal, options, config)
    found = with_base_model(terminal, found, may_download=False)
    configured = read_settings(place, config=config).settings
    inputs = RunInputs.of(here, found.settings)
    with naming_origins(found):
        run = on_every_gpu(here, found, configured, here.offers(), inputs)
    if json:
        terminal.document(document_of(run))
    else:
        terminal.data(render_offers(run))
    as_of = run.cheapest.as_of if run.cheapest else None
    if sentence := old_list(as_of, datetime.now(UTC).date()):
        terminal.warn(sentence)
    refuse_what_cannot_be(run)
