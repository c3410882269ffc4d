"""What this machine knows of a run's instance."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from fintts_cli.infra import Span
    from fintts_cli.runs.rates import Rates
    from fintts_store.runs.ledger import Gone, Laptop, Up
    from fintts_store.runs.records import Phase


@dataclass(frozen=True, slots=True)
class InstanceView:
    """What this machine knows of a run's instance; `is_live` is None where nobody can tell."""

    name: str | None = None
    is_live: bool | None = None
    phase: Phase | None = None
    """what the infra says that it is doing, before the trainer speaks for itself"""
    created_at: datetime | None = None
    ended_at: datetime | None = None
    gpus: str | None = None
    """that it has; None where the infra does not tell"""
    rates: Rates | None = None
    """what an hour costs, by GPU, as this machine asked for it"""
    launch: int | None = None
    """the launch of the run that it belongs to; None where this machine asked for none, or an
    earlier version did"""
    journal_is_silent: bool = False
    """whether this machine can't tell any more what it asked for under this name: its file is
    damaged, or about another store"""
    seen: tuple[Up | Gone, ...] = ()
    """what the infra says of that launch, in the ledger's words"""
    me: Laptop | None = None
    """this machine, as the ledger names it"""
    earlier_seconds: float = 0.0
    """that instances were billed for before there was a ledger"""
    earlier_usd: Decimal = Decimal(0)
    """what those cost"""
    spans: tuple[Span, ...] = ()
    """of a run whose instance is replaced when it is taken away: of each, when it was billed"""
    is_recovering: bool = False
    """whether it was taken away, and another one is sought"""
    message: str | None = None
    """why the infra gave it up"""
