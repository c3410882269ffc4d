"""What a run's notifications say, and when: the sentences, without the run's name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fintts_inputs.notify.post import Event, Notification
from fintts_store.runs.records import StopReason
from fintts_trainer.session.launch_cost import launch_cost

if TYPE_CHECKING:
    from fintts_store.runs.records import Result
    from fintts_store.store import Store
    from fintts_trainer.session.launch_cost import LaunchCost
    from fintts_trainer.session.notifier import Notifier

FORECAST_STEP = 30
"""the first forecast follows this step: the first ten are slower"""
BUDGET_SHARE = 0.8
ENDINGS = {
    StopReason.MAX_STEPS: "completed all {} steps",
    StopReason.EARLY_STOPPING: "stopped early at step {}",
    StopReason.DEADLINE: "stopped at its deadline, at step {}",
    StopReason.REQUESTED: "stopped on request at step {}",
    StopReason.NAN_LOSS: "failed at step {}: the loss is NaN",
    StopReason.FAILED: "failed at step {}",
}


class Notifications:
    """The notifications of one process of a run; without URLs it does nothing."""

    def __init__(
        self, notifier: Notifier, run: str, began: datetime, deadline_at: datetime
    ) -> None:
        """`began` is when the time until the deadline began to count."""
        self._notifier, self._run = notifier, run
        self._deadline_at = deadline_at
        self._budget_at = began + BUDGET_SHARE * (deadline_at - began)
        self._cost: LaunchCost | None = None

    def know_cost(self, store: Store, launch: int | None, gpus: str | None) -> None:
        """Reads the launch's rate, which the sentences name from now on."""
        if self._notifier:
            self._cost = launch_cost(store, self._run, launch, gpus)

    def launched(self, gpus: str | None, resumes_from: int | None, now: datetime) -> None:
        """The instance is up, and set-up has started."""
        what = "started" if resumes_from is None else f"resumes from about step {resumes_from:,}"
        where = "" if gpus is None else f" on {gpus}"
        late = "" if now < self._budget_at else f", with {_share(BUDGET_SHARE)} of its time used"
        if late:
            self._budget_at = datetime.max.replace(tzinfo=UTC)
        self._send(
            Event.LAUNCHED,
            f"{what}{where}{late}; it ends by {_clock(self._deadline_at)} at the latest",
            now,
        )

    def after_step(
        self, step: int, max_steps: int, eta_seconds: float | None, now: datetime
    ) -> None:
        """Sends the first forecast, and that most of the time is used, when it is time for it."""
        if step == FORECAST_STEP and eta_seconds is not None:
            self._forecast(max_steps, now + timedelta(seconds=eta_seconds), now)
        if now >= self._budget_at:
            self._budget_at = datetime.max.replace(tzinfo=UTC)
            self._send(
                Event.BUDGET,
                f"{_share(BUDGET_SHARE)} of the time until the deadline at "
                f"{_clock(self._deadline_at)} is used, at step {step:,} of {max_steps:,}"
                f"{self._so_far(now)}",
                now,
            )

    def new_best(self, step: int, monitor: str, value: float, now: datetime) -> None:
        """A validation check found a new best value."""
        self._send(
            Event.NEW_BEST,
            f"new best {monitor} {value:.4f} at step {step:,}{self._so_far(now)}",
            now,
        )

    def taken_away(self, sentence: str, now: datetime) -> None:
        """The instance is being taken away, or the process was asked to leave."""
        self._send(Event.TAKEN_AWAY, f"{sentence}{self._so_far(now)}", now)

    def ended(self, result: Result) -> None:
        """The run has its result."""
        at = result.ended_at
        self._send(Event.ENDED, f"{ending_of(result)}{self._bill(at)}", at)

    def failed(self, sentence: str, now: datetime) -> None:
        """The trainer has ended without a result."""
        self._send(Event.ENDED, f"{sentence}{self._bill(now)}", now)

    def close(self, seconds: float) -> None:
        """Waits for the last notifications, no longer than this."""
        self._notifier.close(seconds)

    def _forecast(self, max_steps: int, end: datetime, now: datetime) -> None:
        bill = "" if self._cost is None else f", for {self._cost.if_it_ends(end)}"
        self._send(Event.FORECAST, f"all {max_steps:,} steps would end at {_clock(end)}{bill}", now)

    def _so_far(self, now: datetime) -> str:
        return "" if self._cost is None else f"; {self._cost.so_far(now)}"

    def _bill(self, ended_at: datetime) -> str:
        if self._cost is None:
            return ""
        return f"; this launch costs {self._cost.if_it_ends(ended_at)}"

    def _send(self, event: Event, text: str, now: datetime) -> None:
        self._notifier.send(Notification(event, self._run, text, now))


def ending_of(result: Result) -> str:
    """`stopped early at step 2,800; best val/loss 3.2140 at step 2,300`"""
    ended = ENDINGS[result.stop_reason].format(f"{result.step:,}")
    if result.best_value is not None and result.best_step is not None:
        ended += f"; best {result.monitor} {result.best_value:.4f} at step {result.best_step:,}"
    return f"{ended}; {result.message}" if result.message else ended


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
