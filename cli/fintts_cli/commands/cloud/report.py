"""`fintts cloud report`: compares estimate and actual."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fintts_cli.checkpoints.unreadable import UnreadableCheckpoints
from fintts_cli.commands.named_run import find_runs, pick_run
from fintts_cli.commands.opening import open_workplace
from fintts_cli.commands.options import Config, Json, Quiet, Run, S3EndpointUrl, Store
from fintts_cli.runs.clock import warn_of_wrong_clock
from fintts_cli.runs.instances.requested import instances_of
from fintts_cli.runs.status.listing import look_at
from fintts_cli.runs.status.report import build_report, kept_of
from fintts_cli.terminal import Terminal
from fintts_cli.views.report import render_report
from fintts_cli.views.units import counted
from fintts_cli.workplace import Workplace
from fintts_cost.loss_levels import uniform_guess
from fintts_inputs.base_model.families import parse_shape
from fintts_inputs.base_model.reading import parse_json
from fintts_inputs.errors import InputError
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.removal import list_pins
from fintts_store.errors import InvalidRecord, KeyNotFound
from fintts_store.patience import IMPATIENT
from fintts_store.runs.limits import DOCUMENT_BYTES
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.runs import read_run, readable_result

if TYPE_CHECKING:
    from fintts_cli.runs.status.report import RunReport
    from fintts_store.runs.metrics import Metrics
    from fintts_store.runs.records import RunRecord
    from fintts_store.store import Store as RunStore


def report(
    run: Run = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare estimate and actual.

    Shows each phase, the loss curve, the validation checks and the checkpoints.
    """
    terminal = Terminal(json=json, quiet=quiet)
    here = open_workplace()
    runs = find_runs(
        terminal, here, run, config, IMPATIENT, store=store, s3_endpoint_url=s3_endpoint_url
    )
    made = read_report(terminal, here, runs, pick_run(runs, run), datetime.now(UTC))
    if json:
        terminal.document(made.to_json())
    else:
        terminal.data(render_report(made))


def read_report(
    terminal: Terminal, here: Workplace, runs: "RunStore", run: str, now: datetime
) -> "RunReport":
    """Everything that the store and the infra know about the run; warns about damaged records."""
    record, damaged = read_run(runs, run), UnreadableCheckpoints()
    manifests = list_manifests(runs, run, on_unreadable=damaged.note)
    damaged.warn(terminal)
    metrics = read_metrics(runs, run)
    _warn_of_metrics(terminal, metrics)
    view = look_at(runs, run, instances_of(here), now)
    warn_of_wrong_clock(runs, terminal.warn)
    for error in view.damaged:
        terminal.warn(f"its record is damaged: {error.message}", error.hint)
    return build_report(
        record,
        view,
        readable_result(runs, run),
        metrics.rows,
        kept_of(record, manifests, list_pins(runs, run)),
        uniform_guess=_uniform_guess(runs, record),
    )


def _warn_of_metrics(terminal: Terminal, metrics: "Metrics") -> None:

    if metrics.damaged_rows:
        terminal.warn(
            f"the metrics have {counted(metrics.damaged_rows, 'row')} that cannot be read"
        )
    if metrics.left_out_parts:
        parts = counted(metrics.left_out_parts, "file")
        terminal.warn(f"the report leaves out {parts} of the metrics, too large to read")


def _uniform_guess(runs: "RunStore", record: "RunRecord") -> float | None:
    """The loss of a model that knows nothing, from the base model's config.json in the store."""
    key = record.base_model.prefix + "config.json"
    try:
        shape = parse_shape(parse_json(runs.get(key, DOCUMENT_BYTES), key))
    except (KeyNotFound, InvalidRecord, InputError):
        return None
    return sum(map(uniform_guess, shape.choices.values()))
