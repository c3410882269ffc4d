"""Reads a report: everything that the store and the infra know about a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.checkpoints.unreadable import UnreadableCheckpoints
from fintts_cli.runs.clock import off_by
from fintts_cli.runs.report.kept import kept_of
from fintts_cli.runs.report.phases import SAMPLES
from fintts_cli.runs.report.report import build_report
from fintts_cli.runs.status.checks import section_of
from fintts_cli.runs.status.listing import look_at
from fintts_cost.training.loss_levels import uniform_guess
from fintts_inputs.base_model.families import parse_shape
from fintts_inputs.base_model.reading import parse_json
from fintts_inputs.config import SamplesConfig
from fintts_inputs.errors import InputError
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.removal import list_pins
from fintts_store.errors import InvalidRecord, KeyNotFound
from fintts_store.runs.limits import DOCUMENT_BYTES
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.runs import readable_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from fintts_cli.runs.report.report import RunReport
    from fintts_cli.runs.status.listing import InstanceOf
    from fintts_store.runs.metrics import Metrics
    from fintts_store.runs.records import Result
    from fintts_store.runs.run_record import RunRecord
    from fintts_store.store import Store


def read_report(
    runs: Store,
    run: str,
    instance_of: InstanceOf,
    now: datetime,
    warn: Callable[[str, str], None],
    *,
    skew: str | None = None,
    parts: dict[str, bytes] | None = None,
) -> RunReport:
    """The run's report; what is damaged goes to `warn` and into the report.

    Args:
        skew: how far this machine's clock is from the store's, in words; None if they agree.
        parts: of the metrics, from an earlier reading; new ones are added.

    Raises:
        StoreError: the run does not exist, or cannot be read.
    """
    # Read the view first: the metrics of a run that has ended are then complete.
    view, unreadable = look_at(runs, run, instance_of, now), UnreadableCheckpoints()
    manifests = list_manifests(runs, run, on_unreadable=unreadable.note)
    metrics = read_metrics(runs, run, parts)
    noted: list[str] = []

    def note(sentence: str, hint: str = "") -> None:
        warn(sentence, hint)
        noted.append(sentence)

    unreadable.warn(note)
    for sentence in _odd_metrics(metrics):
        note(sentence)
    for error in view.damaged:
        note(f"its record is damaged: {error.message}", error.hint)
    if skew is not None:
        noted.append(off_by(skew))  # the command has warned of it
    result = readable_result(runs, run)
    for sentence in _missing_samples(view.record, result):
        note(sentence)
    return build_report(
        view,
        result,
        metrics.rows,
        kept_of(view.record, manifests, list_pins(runs, run)),
        now,
        uniform_guesses=_uniform_guesses(runs, view.record),
        warnings=noted,
    )


def _missing_samples(record: RunRecord, result: Result | None) -> Iterator[str]:
    if result is None:
        return
    is_on = section_of(record, "samples", SamplesConfig).is_on
    if result.missing_samples:
        yield f"samples are missing, {result.missing_samples:,} of them: the log says why"
    elif is_on and result.step and not result.phase_seconds.get(SAMPLES):
        yield "the run has spoken no samples: the log says why"


def _odd_metrics(metrics: Metrics) -> Iterator[str]:
    if metrics.damaged_rows:
        rows = "1 row" if metrics.damaged_rows == 1 else f"{metrics.damaged_rows:,} rows"
        yield f"the metrics have {rows} that cannot be read"
    if metrics.left_out_parts:
        parts = "1 file" if metrics.left_out_parts == 1 else f"{metrics.left_out_parts:,} files"
        yield f"the report leaves out {parts} of the metrics, too large to read"


def _uniform_guesses(runs: Store, record: RunRecord) -> dict[str, float]:
    """Head → the loss of a model that knows nothing, from the base model's config.json."""
    key = record.base_model.prefix + "config.json"
    try:
        shape = parse_shape(parse_json(runs.get(key, DOCUMENT_BYTES), key))
    except (KeyNotFound, InvalidRecord, InputError):
        return {}
    return {head: uniform_guess(classes) for head, classes in shape.choices.items()}
