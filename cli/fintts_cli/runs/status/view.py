"""One run as the terminal shows it: request, heartbeat, end and instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.places import LOCAL
from fintts_cli.runs.status.stop_reason import how_it_stopped
from fintts_cli.wording import iso
from fintts_store.runs.records import Phase, StopReason

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from fintts_cli.runs.bill.billing import Bill
    from fintts_cli.runs.instances.at_work import AtWork
    from fintts_cli.runs.status.stop_forecast import PricedForecast
    from fintts_store.errors import StoreError
    from fintts_store.runs.laptop import Laptop
    from fintts_store.runs.ledger import Gone, Ledger, Up
    from fintts_store.runs.records import Status
    from fintts_store.runs.run_record import RunRecord


AT_WORK = (Phase.TRAINING, Phase.VALIDATING, Phase.SAVING)


@dataclass(frozen=True, slots=True)
class RunView:
    """What `ps`, `watch` and `report` say about a run at one moment. Times are aware and UTC."""

    run: str
    record: RunRecord
    heartbeat: Status | None
    """of the newest launch, or of an earlier one that says where the run stands"""
    phase: Phase
    step: int
    max_steps: int
    loss: float | None
    validation_value: float | None
    best_step: int | None
    best_value: float | None
    stop_reason: StopReason | None
    message: str | None
    started_at: datetime
    updated_at: datetime | None
    ended_at: datetime | None
    deadline_at: datetime
    seconds_per_step: float | None
    eta_seconds: float | None
    hourly_rate_usd: Decimal
    bill: Bill
    """for all launches of the run, from any laptop, up to now"""
    cost_to_finish_usd: Decimal | None
    """from now until the instance is gone"""
    infra: str
    gpus: str
    instance: str | None
    instance_is_live: bool | None
    is_too_late: bool
    """this machine's request still waits for an instance, and the deadline has passed"""
    is_silent: bool
    """this machine knows no instance, and the trainer has been silent for long"""
    ledger: Ledger
    at_work: AtWork
    """whose instance is at work"""
    me: Laptop
    has_instance_here: bool
    """whether this machine's infra has, or had, an instance of the run"""
    is_known_here: bool
    """False if this machine has no record of requesting the newest launch"""
    patience: int | None = None
    """checks without improvement after which early stopping ends the run"""
    stop_forecast: PricedForecast | None = None
    """when the run will end, while it trains"""
    news: tuple[Up | Gone, ...] = ()
    """what this machine's infra reports and the store's ledger does not have yet"""
    damaged: tuple[StoreError, ...] = ()
    """why heartbeat or result cannot be read; their content counts as unknown"""

    @property
    def billed_seconds(self) -> float:
        """Seconds billed by all instances of the run up to now."""
        return self.bill.seconds

    @property
    def cost_so_far_usd(self) -> Decimal:
        """The cost of all instances up to now."""
        return self.bill.usd

    @property
    def cost_is_at_most(self) -> bool:
        """Whether the end of an instance was not seen, so that the latest possible one counts."""
        return self.bill.is_at_most

    @property
    def milestone(self) -> tuple[object, ...]:
        """A value that changes with each event: a new phase, a check, the end."""
        phase = Phase.TRAINING if self.phase in AT_WORK else self.phase
        return phase, self.stop_reason, self.validation_value, self.message

    @property
    def has_ended(self) -> bool:
        """Whether the run is over: done or failed, and its instance is gone."""
        is_over = self.phase in (Phase.DONE, Phase.FAILED) and not self.instance_is_live
        return is_over or self.is_silent

    @property
    def is_lost(self) -> bool:
        """Whether its instance is gone without a recorded end."""
        return self.phase == Phase.FAILED and self.stop_reason is None

    @property
    def only_bills(self) -> bool:
        """Whether a rented instance has nothing left to do; one that is there ends itself within a
        minute or two. One that is still to come would only find that the deadline has passed."""
        is_over = self.is_too_late or (
            self.stop_reason is not None and self.phase == Phase.TEARING_DOWN
        )
        return is_over and bool(self.instance_is_live) and self.infra != LOCAL

    @property
    def ended_well(self) -> bool:
        """Whether the run has a successful result."""
        return self.stop_reason is not None and not self.stop_reason.is_failure

    @property
    def ending(self) -> str:
        """How the run stopped, in words; its phase if there is no result."""
        if self.stop_reason is None:
            return f"{self.phase} at step {self.step} of {self.max_steps}"
        return how_it_stopped(
            self.stop_reason, self.step, patience=self.patience, max_steps=self.max_steps
        )

    def to_json(self) -> dict[str, object]:
        """One run in the document of `fintts cloud ps --json`; `report --json` begins with it."""
        return {
            "run": self.run,
            "phase": str(self.phase),
            "step": self.step,
            "max_steps": self.max_steps,
            "loss": self.loss,
            "started_at": iso(self.started_at),
            "deadline_at": iso(self.deadline_at),
            "cost_so_far_usd": _cents(self.cost_so_far_usd),
            "cost_is_at_most": self.cost_is_at_most,
            "cost_to_finish_usd": _cents(self.cost_to_finish_usd),
            "infra": self.infra,
            "gpus": self.gpus,
            "instance": self.instance,
            "instance_is_live": self.instance_is_live,
            "best_step": self.best_step,
            "best_value": self.best_value,
            "eta_seconds": self.eta_seconds,
            "stop_forecast": self.stop_forecast and self.stop_forecast.to_json(),
            "updated_at": iso(self.updated_at),
            "ended_at": iso(self.ended_at),
            "stop_reason": None if self.stop_reason is None else str(self.stop_reason),
            "message": self.message,
        }


def _cents(amount: Decimal | None) -> float | None:
    return None if amount is None else float(round(amount, 2))
