"""`fintts store check`: checks that a store does what runs need and that its contents are whole."""

from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.commands.opening import load_settings, open_workplace
from fintts_cli.commands.options import Config, Json, Quiet, S3EndpointUrl
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.checks.store import StoreCheck, render_check
from fintts_store.probes.probes import Verdict, probe_store
from fintts_store.upkeep.byte_check import read_checkpoint, read_inputs
from fintts_store.upkeep.survey import survey_store

if TYPE_CHECKING:
    from fintts_store.probes.probes import Outcome
    from fintts_store.store import Store
    from fintts_store.upkeep.faults import Fault
    from fintts_store.upkeep.survey import StoreSurvey


Place = Annotated[
    str | None,
    typer.Argument(metavar="DIR|s3://BUCKET/PREFIX", help="Default: the configured store."),
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
    """Probe a store and verify its contents.

    Lists, writes, reads, lets eight writers race, deletes, and cleans up. Then compares each
    checkpoint with its manifest, and each run's inputs with its run.json.
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
    terminal.say("checking every run and its inputs")
    survey = survey_store(store)
    torn = _read_all(terminal, store, survey) if read_data else ()
    return StoreCheck(store.url, outcomes, survey, torn, bytes_were_read=read_data)


def _can_read(outcomes: "list[Outcome]") -> bool:
    """Whether the store can be listed."""
    return outcomes[0].finding.verdict is not Verdict.FAILED


def _read_all(terminal: Terminal, store: "Store", survey: "StoreSurvey") -> "tuple[Fault, ...]":
    """Faults found by reading every byte: checkpoints, then the inputs of runs."""
    manifests = [manifest for run in survey.runs for manifest in run.whole]
    of_manifests = sum(manifest.size_bytes for manifest in manifests)
    of_inputs = sum(one.size_bytes for one in survey.inputs)
    with terminal.transfer(of_manifests + of_inputs) as on_bytes:
        torn = [read_checkpoint(store, manifest, on_bytes) for manifest in manifests]
        damaged = read_inputs(store, survey.inputs, on_bytes)
    return (*(fault for fault in torn if fault is not None), *damaged)
