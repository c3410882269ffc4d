"""What becomes of one launch, and what the cloud bills for it: the truth of `benchmarks/budget.py`.

Nothing in here counts money as the product does. An instance is billed from the moment at which it
runs until the cloud has ended it, whatever trainer, laptop and store believe meanwhile. The trainer
asks the product's own rules when to end (`session.deadline`,
`fintts_cost.training.early_stopping`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from fintts_cost.training.early_stopping import EarlyStopping
from fintts_cost.training.schedule import Schedule
from fintts_trainer.session.deadline import OVERTIME_SECONDS, Deadline, PaceMeter

KILL_AFTER = 120.0
"""after SIGTERM, for who ignores it"""
CONCLUDE_LIMIT = 60.0
LAST_RECOVERY = 600.0
"""An announced loss so shortly before the deadline ends the run instead of moving it."""


@dataclass
class Work:
    """What there is to do, at the pace at which it truly goes."""

    schedule: Schedule
    rule: EarlyStopping
    seconds_per_step: float
    seconds_per_check: float
    setup_seconds: float
    best_until: int
    """the loss falls up to this step"""


@dataclass
class Fate:
    """What will happen to a launch, all of it drawn beforehand."""

    hangs_at: float = math.inf
    """seconds after the request; no step and no answer from then on"""
    is_deaf: bool = False
    """SIGTERM changes nothing"""
    store_stalls_at: float = math.inf
    conclude_seconds: float = 5.0
    upload_seconds: float = 5.0
    provisioning_seconds: float = 60.0
    teardown_seconds: float = 100.0
    """of a cluster, from the job's end"""
    idle_seconds: float = 640.0
    """of a spot instance whose laptop sleeps, from the job's end"""
    sleeps: tuple[float, float] = (math.inf, math.inf)
    """when the laptop is shut, and when it is opened again"""
    losses: list[float] = field(default_factory=list[float])
    """when a spot instance is taken away"""
    is_announced: bool = True


@dataclass(frozen=True)
class Instance:
    """One that the cloud bills, in seconds after the request."""

    began: float
    ended: float


@dataclass
class Course:
    """How a launch went."""

    instances: list[Instance] = field(default_factory=list[Instance])
    saved_step: int = 0
    reason: str | None = None
    """in result.json; None where nobody wrote it"""
    ended_at: float = 0.0
    """when the last word was written, or the job ended"""
    heard_at: float | None = None
    """the last heartbeat"""


class Launched:
    """One launch in the cloud, from its request to the last billed second."""

    def __init__(
        self, work: Work, fate: Fate, random: Random, asked_at: datetime, deadline_at: datetime
    ) -> None:
        self.work, self.fate, self.random = work, fate, random
        self.asked_at = asked_at
        self.deadline_at = deadline_at
        self.deadline = (deadline_at - asked_at).total_seconds()
        self.course = Course()

    def on_demand(self, saved_step: int) -> Course:
        """A cluster that ends itself when its job is over."""
        self.course.saved_step = saved_step
        began = self.fate.provisioning_seconds
        job_end = self._job(began, math.inf)
        self.course.instances.append(Instance(began, job_end + self.fate.teardown_seconds))
        return self.course

    def on_spot(self, saved_step: int) -> Course:
        """Instances that come one after the other while the laptop is awake."""
        self.course.saved_step = saved_step
        began = self.fate.provisioning_seconds
        while True:
            lost_at = next((at for at in self.fate.losses if at > began), math.inf)
            job_end = self._job(began, lost_at)
            if job_end <= lost_at:
                self._end_of_spot_job(began, job_end, lost_at)
                return self.course
            self.course.instances.append(Instance(began, lost_at))
            is_late = self.deadline - lost_at < LAST_RECOVERY
            if self.fate.is_announced and is_late:
                self.course.reason, self.course.ended_at = "deadline", lost_at
                return self.course
            began = self._awake(lost_at) + self.random.uniform(5, 60)

    def _end_of_spot_job(self, began: float, job_end: float, lost_at: float) -> None:
        """The controller ends the instance at once; while it sleeps, idleness does."""
        if self._awake(job_end) == job_end:
            ended = min(job_end + self.random.uniform(20, 40), lost_at)
            self.course.instances.append(Instance(began, ended))
            return
        gone = min(job_end + self.fate.idle_seconds, lost_at)
        opened = self._awake(job_end)
        if opened < gone:
            self.course.instances.append(Instance(began, opened + self.random.uniform(20, 40)))
            return
        self.course.instances.append(Instance(began, gone))
        # It takes the instance for lost and rents another, which finds that all is over.
        again = opened + self.random.uniform(5, 60)
        over = again + self.random.uniform(40, 250) + self.random.uniform(20, 70)
        self.course.instances.append(Instance(again, over))

    def _awake(self, at: float) -> float:
        """The first moment from this one on at which the laptop is not shut."""
        shut, opened = self.fate.sleeps
        return opened if shut <= at < opened else at

    def _job(self, began: float, lost_at: float) -> float:
        """Set-up, training and the last words; returns when the job ends, unless it is lost."""
        ready = began + self.work.setup_seconds
        if ready >= self.deadline:  # the task's own time limit ends it, or its trainer at once
            job_end = max(self.deadline, began + 30.0) + self.random.uniform(0, 10)
            self.course.ended_at = job_end
            return job_end
        trainer_end, reason = self._train(ready, lost_at)
        if trainer_end > lost_at:
            return math.inf
        is_stalled = trainer_end >= self.fate.store_stalls_at
        concluded = CONCLUDE_LIMIT if is_stalled else self.fate.conclude_seconds
        job_end = trainer_end + (min(concluded, CONCLUDE_LIMIT) if reason is None else 0.0)
        self.course.ended_at = job_end
        if not is_stalled:
            self.course.reason = reason or "failed"
        return job_end

    def _train(self, ready: float, lost_at: float) -> tuple[float, str | None]:
        """When the trainer ends, and what its result says; None where it could not say it."""
        trainer = _Trainer(self.work, self.fate, self.random, self._moment, self.deadline_at)
        trainer.begin(ready, self.course.saved_step)
        reason = trainer.run_until(min(lost_at, self.fate.hangs_at, self.fate.store_stalls_at))
        self.course.saved_step = max(self.course.saved_step, trainer.saved_step)
        if reason is not None:
            self.course.heard_at = trainer.now
            return self._end_of_healthy(trainer.now, reason)
        if lost_at < self.deadline and lost_at <= min(
            self.fate.hangs_at, self.fate.store_stalls_at
        ):
            self.course.heard_at = lost_at
            if self.fate.is_announced:
                self.course.saved_step = max(self.course.saved_step, trainer.step)
            return math.inf, None
        self.course.heard_at = max(trainer.now, ready)
        deaf = KILL_AFTER if self.fate.is_deaf else self.random.uniform(1, KILL_AFTER)
        return self.deadline + deaf, None

    def _end_of_healthy(self, ended: float, reason: str) -> tuple[float, str | None]:
        """A last check that took far longer than those before runs into SIGTERM, and SIGKILL."""
        if ended > self.deadline + KILL_AFTER:
            return self.deadline + KILL_AFTER, None
        return ended, reason

    def _moment(self, seconds: float) -> datetime:
        return self.asked_at + timedelta(seconds=seconds)


class _Trainer:
    """Steps, checks and saves, in blocks from one check to the next."""

    def __init__(
        self,
        work: Work,
        fate: Fate,
        random: Random,
        moment: Callable[[float], datetime],
        deadline_at: datetime,
    ) -> None:
        self.work, self.fate, self.random, self.moment = work, fate, random, moment
        self.deadline_at = deadline_at
        self.meter = PaceMeter()
        self.progress = work.rule.start()

    def begin(self, ready: float, saved_step: int) -> None:
        """Once the model is loaded."""
        self.now, self.step, self.saved_step = ready, saved_step, saved_step
        self.deadline = Deadline.from_now(
            self.deadline_at, self.moment(ready), overtime_seconds=OVERTIME_SECONDS
        )

    def run_until(self, cut: float) -> str | None:
        """Why it ended by itself, with its last checkpoint saved; None when it was cut then."""
        while True:
            reason = self._why_end() or self._block(cut)
            if reason is not None:
                return self._finish(reason, cut)
            if self.now >= cut:
                return None

    def _why_end(self) -> str | None:
        if self.work.rule.should_stop(self.progress):
            return "early_stopping"
        return "max_steps" if self.step >= self.work.schedule.max_steps else None

    def _block(self, cut: float) -> str | None:
        """Up to the next check, as far as the deadline and the cut allow."""
        every = self.work.schedule.validation_every
        end = min((self.step // every + 1) * every, self.work.schedule.max_steps)
        each = self.work.seconds_per_step * self.random.uniform(0.9, 1.15)
        steps = end - self.step
        possible = self._possible(steps, each)
        whole = int(max(cut - self.now, 0) // each) if math.isfinite(cut) else steps
        done = min(possible, whole)
        self.step += done
        self.now += done * each
        if done:
            self.meter.steps.append(each)
        if done == possible < steps:
            return "deadline"
        if done < steps:
            self.now = max(self.now, cut)
            return None
        self._check(cut)
        return None

    def _possible(self, steps: int, each: float) -> int:
        """How many of so many steps the product's rule begins; later ones are never allowed."""
        low, high = 0, steps
        while low < high:
            middle = (low + high) // 2
            has_check = middle == steps - 1
            if self._is_over(self.now + middle * each, has_check=has_check):
                high = middle
            else:
                low = middle + 1
        return low

    def _is_over(self, at: float, *, has_check: bool) -> bool:
        needed = self.deadline.seconds_needed(self.meter.pace, has_check=has_check)
        return self.deadline.is_over(self.moment(at), needed)

    def _check(self, cut: float) -> None:
        schedule = self.work.schedule
        if schedule.is_validation(self.step):
            took = self.work.seconds_per_check * self.random.uniform(0.9, 1.3)
            self.now += took
            if self.now > cut:
                return
            self.meter.checks.append(took)
            better = self.step <= self.work.best_until
            loss = 20.0 - self.step / 1000 if better else 30.0
            self.progress = self.work.rule.check(self.progress, self.step, loss)
        if schedule.is_checkpoint(self.step) and self.now + self.fate.upload_seconds <= cut:
            self.saved_step = self.step  # the upload goes on beside the training
            self.meter.saves.append(1.0)
            self.meter.uploads.append(self.fate.upload_seconds)

    def _finish(self, reason: str, cut: float) -> str | None:
        self.now += self.random.uniform(1, 4) + self.fate.upload_seconds
        if self.now > cut:
            return None
        if self.now <= (self.deadline_at - self.moment(0)).total_seconds() + KILL_AFTER:
            self.saved_step = self.step
        return reason
