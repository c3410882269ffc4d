"""Records of a ledger: laptops C and D, and a launch at $1.20 an hour."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from fintts_store.runs.laptop import Laptop
from fintts_store.runs.ledger import Asked, Evidence, Gone, Launch, Ledger, Up
from run_samples import MINUTE, START

LAPTOP_C = Laptop(id="c" * 32, host="laptop-c")
LAPTOP_D = Laptop(id="d" * 32, host="laptop-d")
RUN = "kalevala-1"


def asked(launch: int = 1, **changes: Any) -> Asked:
    """By laptop C at the start, for an hour and a reserve of five minutes."""
    given: dict[str, Any] = {
        "run": RUN,
        "launch": launch,
        "asker": LAPTOP_C,
        "requested_at": START,
        "infra": "aws",
        "rates_usd": {"A100-80GB:1": Decimal("1.20")},
        "deadline_at": changes.get("requested_at", START) + 60 * MINUTE,
        "reserve_seconds": 300.0,
        "teardown_seconds": 120.0,
    }
    return Asked(**(given | changes))


def up(at: datetime, launch: int = 1, gpus: str | None = "A100-80GB:1") -> Up:
    """Seen by laptop C."""
    return Up(run=RUN, launch=launch, at=at, gpus=gpus, seen_by=LAPTOP_C)


def gone(at: datetime, launch: int = 1, **changes: Any) -> Gone:
    """Seen by laptop C, in the cloud's own list."""
    given: dict[str, Any] = {"evidence": Evidence.CLOUD, "seen_by": LAPTOP_C}
    return Gone(run=RUN, launch=launch, at=at, **(given | changes))


def ledger(*launches: Launch) -> Ledger:
    """Whole, without damage."""
    return Ledger(launches)


def hours(number: float) -> timedelta:
    """So many of them."""
    return timedelta(hours=number)
