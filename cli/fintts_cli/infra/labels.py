"""What an instance is labelled with: whose it is, and until when, without a journal to ask."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

RUN_LABEL = "fintts-run"
DEADLINE_LABEL = "fintts-deadline"
FORMAT = "%Y-%m-%dt%H-%M-%Sz"
"""In the letters that every cloud takes in a label."""


def labels_of(run: str, deadline_at: datetime) -> dict[str, str]:
    """The labels of a run's instance."""
    return {RUN_LABEL: run, DEADLINE_LABEL: deadline_at.astimezone(UTC).strftime(FORMAT)}


def deadline_named_in(text: str) -> datetime | None:
    """That of the first label in a text that holds a task's YAML, however it is quoted."""
    found = re.search(rf"{DEADLINE_LABEL}\W+([\dtz-]+)", text)
    return deadline_of({DEADLINE_LABEL: found[1]}) if found else None


def deadline_of(labels: Mapping[str, str] | None) -> datetime | None:
    """To the second; None where it is not among the labels, or is another text."""
    try:
        return datetime.strptime((labels or {}).get(DEADLINE_LABEL, ""), FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
