"""The metrics of a run: rows of numbers, in append-only parts from one or more instances."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from fintts_store import layout
from fintts_store.errors import InvalidRecord, KeyNotFound
from fintts_store.runs import limits
from fintts_store.runs.records import MetricRow
from fintts_store.store import Entry, Store

_PART = re.compile(r"[0-9]{6}-[0-9]{6}\.jsonl")


@dataclass(slots=True)
class Metrics:
    """All rows by step and kind, and how many could not be read."""

    rows: list[MetricRow] = field(default_factory=list[MetricRow])
    damaged_rows: int = 0
    left_out_parts: int = 0
    """parts that are too large, or exceed the limit of all parts together"""


def read_metrics(store: Store, run: str, known: dict[str, bytes] | None = None) -> Metrics:
    """All readable rows; a damaged row or part does not affect the others.

    If a later claim resumed from an earlier step, the rows of the claim before it beyond that step
    are left out: those steps did not lead to the adapter.

    Args:
        known: parts from an earlier reading, by key, which are not read again, since a part never
            changes; new ones are added.

    Raises:
        StoreError: the store cannot be read.
    """
    found = Metrics()
    prefix = layout.metrics_prefix(run)
    parts = [e for e in store.list(prefix) if _PART.fullmatch(e.key.removeprefix(prefix))]
    read = _newest_within_limits(parts)
    found.left_out_parts = len(parts) - len(read)
    rows: list[MetricRow] = []
    texts = {} if known is None else known
    for _, entries in groupby(read, key=lambda entry: entry.key.removeprefix(prefix)[:6]):
        later = [row for entry in entries for row in _rows(store, entry.key, found, texts)]
        began = {kind: min(r.step for r in later if r.kind == kind) for kind in _kinds(later)}
        rows = [r for r in rows if r.kind not in began or r.step < began[r.kind]] + later
        rows = rows[-limits.METRICS_ROWS :]
    latest = {(row.step, row.kind): row for row in rows}
    found.rows = [latest[place] for place in sorted(latest)]
    return found


def _newest_within_limits(parts: Sequence[Entry]) -> list[Entry]:
    chosen: list[Entry] = []
    left_bytes = limits.METRICS_BYTES
    for part in reversed(parts):
        if part.size_bytes > limits.METRICS_PART_BYTES or part.size_bytes > left_bytes:
            continue
        left_bytes -= part.size_bytes
        chosen.append(part)
    return chosen[::-1]


def _rows(store: Store, key: str, found: Metrics, known: dict[str, bytes]) -> Iterator[MetricRow]:
    try:
        text = known.get(key) or store.get(key, limits.METRICS_PART_BYTES)
    except InvalidRecord:
        found.left_out_parts += 1
        return
    except KeyNotFound:
        return
    known[key] = text
    for line in text.splitlines()[-limits.METRICS_ROWS :]:
        try:
            yield MetricRow.load(line, key)
        except InvalidRecord:
            found.damaged_rows += 1


def _kinds(rows: list[MetricRow]) -> set[str]:
    return {row.kind for row in rows}
