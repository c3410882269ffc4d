"""What this machine knows about a run's instance."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from fintts_cli.infra import Span
    from fintts_cli.runs.bill.terms import Rates
    from fintts_store.runs.laptop import Laptop
    from fintts_store.runs.ledger import Gone, Up
    from fintts_store.runs.records import Phase


@dataclass(frozen=True, slots=True)
class InstanceView:
    """What this machine knows about a run's instance; `is_live` is None if unknown."""

    name: str | None = None
    is_live: bool | None = None
    phase: Phase | None = None
    """what the infra reports until the trainer reports its own phase"""
    created_at: datetime | None = None
    ended_at: datetime | None = None
    gpus: str | None = None
    """the GPUs it has; None if the infra does not report them"""
    rates: Rates | None = None
    """the hourly rate by GPU, as this machine requested it"""
    launch: int | None = None
    """the launch it belongs to; None if this machine requested none, or an earlier version did"""
    journal_is_silent: bool = False
    """whether this machine no longer knows what it requested under this name: its journal file is
    damaged, or about another store"""
    seen: tuple[Up | Gone, ...] = ()
    """what the infra says about that launch, in the ledger's terms"""
    me: Laptop | None = None
    """this machine, as the ledger names it"""
    earlier_seconds: float = 0.0
    """the time billed by instances from before the ledger existed"""
    earlier_usd: Decimal = Decimal(0)
    """their cost"""
    spans: tuple[Span, ...] = ()
    """when each instance was billed, for a run whose instance is replaced after a preemption"""
    is_recovering: bool = False
    """whether it was preempted and a replacement is sought"""
    message: str | None = None
    """why the infra gave up on it"""
