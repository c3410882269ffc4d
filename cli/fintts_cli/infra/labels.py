"""An instance's labels: its run and its deadline, readable without a journal."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "fintts-"
"""of an instance's name"""
RUN_LABEL = "fintts-run"
DEADLINE_LABEL = "fintts-deadline"
FORMAT = "%Y-%m-%dt%H-%M-%Sz"
"""Uses only characters that every cloud accepts in a label."""


def labels_of(run: str, deadline_at: datetime) -> dict[str, str]:
    """The labels of a run's instance."""
    return {RUN_LABEL: run, DEADLINE_LABEL: deadline_at.astimezone(UTC).strftime(FORMAT)}


def deadline_named_in(text: str) -> datetime | None:
    """The deadline of the first label in a text that holds a task's YAML, with any quoting."""
    found = re.search(rf"{DEADLINE_LABEL}\W+([\dtz-]+)", text)
    return deadline_of({DEADLINE_LABEL: found[1]}) if found else None


def deadline_of(labels: Mapping[str, str] | None) -> datetime | None:
    """The deadline in the labels, to the second; None if missing or malformed."""
    try:
        return datetime.strptime((labels or {}).get(DEADLINE_LABEL, ""), FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
