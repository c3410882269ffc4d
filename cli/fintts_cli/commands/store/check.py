"""`fintts store check`: whether a store does what runs need, and what lies in it is whole."""

from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.commands.opening import load_settings, open_workplace
from fintts_cli.commands.options import Config, Json, Quiet, S3EndpointUrl
from fintts_cli.terminal import Terminal
from fintts_cli.views.store_check import StoreCheck, render_check
from fintts_store.probes import Verdict, probe_store
from fintts_store.upkeep.byte_check import read_checkpoint, read_inputs
from fintts_store.upkeep.survey import survey_store

if TYPE_CHECKING:
    from fintts_store.probes import Outcome
    from fintts_store.store import Store
    from fintts_store.upkeep.faults import Fault
    from fintts_store.upkeep.survey import StoreSurvey


Place = Annotated[
    str | None,
    typer.Argument(metavar="DIR|s3://BUCKET/PREFIX", help="Without it the configured one."),
]


def check(
    store: Place = None,
    read_data: Annotated[
        bool, typer.Option("--read-data", help="Read every byte and compare its SHA-256.")
    ] = False,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Probe a store, and verify what lies in it.

    Lists, writes, reads, lets eight writers race, deletes, and removes its traces; then compares
    the files of every checkpoint with its manifest, and what runs read with their run.json.
    """
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    options = {"store": store, "s3_endpoint_url": s3_endpoint_url}
    opened = here.store_of(load_settings(terminal, options, config))
    made = _check(terminal, opened, read_data=read_data)
    if json:
        terminal.document(made.to_json())
    else:
        terminal.data(render_check(made))
    made.refuse()


def _check(terminal: Terminal, store: "Store", *, read_data: bool) -> StoreCheck:

    terminal.say(f"probing {store.url}")
    outcomes = probe_store(store)
    if not _can_read(outcomes):
        return StoreCheck(store.url, outcomes, None, (), bytes_were_read=False)
    terminal.say("looking at every run and what it reads")
    survey = survey_store(store)
    torn = _read_all(terminal, store, survey) if read_data else ()
    return StoreCheck(store.url, outcomes, survey, torn, bytes_were_read=read_data)


def _can_read(outcomes: "list[Outcome]") -> bool:
    """Whether there is a list of what lies in the store."""
    return outcomes[0].finding.verdict is not Verdict.FAILED


def _read_all(terminal: Terminal, store: "Store", survey: "StoreSurvey") -> "tuple[Fault, ...]":
    """What has other bytes than were written down: checkpoints, then what runs read."""
    manifests = [manifest for run in survey.runs for manifest in run.whole]
    of_manifests = sum(manifest.size_bytes for manifest in manifests)
    of_inputs = sum(one.size_bytes for one in survey.inputs)
    with terminal.transfer(of_manifests + of_inputs) as on_bytes:
        torn = [read_checkpoint(store, manifest, on_bytes) for manifest in manifests]
        damaged = read_inputs(store, survey.inputs, on_bytes)
    return (*(fault for fault in torn if fault is not None), *damaged)
