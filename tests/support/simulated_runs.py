"""Runs with a budget, from the plan to the last bill, through the product's own functions.

`fintts_cost.plan.launch` says what may be launched and for how long, `simulated_cloud` what becomes
of it, the ledger's records what laptops saw of it, and `runs.bill` what a laptop believes was spent
when the run is launched again. What the cloud billed is added up beside all of that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from fintts_cli.infra import InstancePhase, InstanceState, Span
from fintts_cli.runs.bill.billing import bill_of
from fintts_cli.runs.instances.at_work import Claimed, Whose, judge
from fintts_cli.runs.instances.sightings import news_of, sightings_of, with_sightings
from fintts_cost.errors import OverBudget
from fintts_cost.estimate.inputs import EstimateInput
from fintts_cost.estimate.result import estimate
from fintts_cost.gpus.accelerators import ACCELERATORS
from fintts_cost.money import Price
from fintts_cost.plan.candidate import Candidate
from fintts_cost.plan.launch import LaunchPlan, plan_launch, plan_resumption
from fintts_cost.plan.reserve import Reserve
from fintts_cost.training.early_stopping import EarlyStopping
from fintts_cost.training.schedule import Schedule
from fintts_store.runs.laptop import Laptop
from fintts_store.runs.ledger import Asked, Evidence, Gone, Launch, Ledger, Up
from fintts_store.runs.records import Phase, Result, Status, StopReason
from run_samples import START, record, result, status
from simulated_cloud import Course, Fate, Launched, Work

RUN = "kalevala-1"
MOST_LAUNCHES = 5
FINAL = ("max_steps", "early_stopping")
LAPTOPS = tuple(Laptop(id=letter * 32, host=f"laptop-{letter}") for letter in "abc")


@dataclass(frozen=True)
class Asking:
    """What somebody wants to have run, and for how much."""

    choices: tuple[Candidate, ...]
    true_rates_usd: dict[str, float]
    """what the cloud bills, which on a spot market is not what the list says"""
    true_paces: dict[str, float]
    """seconds of a step"""
    budget_usd: Decimal
    reserve: Reserve
    spot: bool


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and what it cost."""

    budget_usd: float
    billed_usd: float
    """by the cloud"""
    believed_usd: float
    """by the laptop that looks last"""
    launches: int
    step: int
    """of its newest checkpoint; 0 where there is none"""
    reason: str

    @property
    def is_over_budget(self) -> bool:
        """By more than a hundredth of a cent, which is what binary fractions may add."""
        return self.billed_usd > self.budget_usd + 0.0001

    @property
    def is_believed_below_billed(self) -> bool:
        """Whether the bill says less than the cloud's, beyond the same hundredth of a cent."""
        return self.believed_usd < self.billed_usd - 0.0001

    @property
    def unused_share(self) -> float:
        """Of the budget."""
        return 1 - self.billed_usd / self.budget_usd


def simulate(seed: int, reserve_share: Decimal = Decimal(1)) -> Outcome | None:
    """One run; None where the product refuses its budget and nothing is rented.

    Args:
        reserve_share: how much of the reserve is kept, to see what it is there for.
    """
    random = Random(seed)
    asking = _asking(random, reserve_share)
    try:
        plan = plan_launch(asking.choices, asking.budget_usd, asking.reserve)
    except OverBudget:
        return None
    return _Run(random, asking).follow(plan)


def _asking(random: Random, reserve_share: Decimal) -> Asking:
    spot = random.random() < 0.35
    names = random.sample(sorted(ACCELERATORS), random.choice((1, 1, 2, 3)))
    shared = _schedule(random)
    choices = tuple(_choice(random, name, shared, spot=spot) for name in names)
    kept = Reserve.spot() if spot else Reserve.on_demand()
    reserve = Reserve(*(part * reserve_share for part in kept))
    cheapest = min(each.estimate.cost_usd for each in choices)
    budget = cheapest * Decimal(random.choice((1.0, 1.1, 1.5, 2.0, 4.0)))
    slower = random.choice((0.7, 1.0, 1.0, 1.2, 2.0, 8.0))
    return Asking(
        choices=choices,
        true_rates_usd={each.gpus: _true_rate(random, each) for each in choices},
        true_paces={
            each.gpus: float(each.estimate.given.seconds_per_step) * slower for each in choices
        },
        budget_usd=max(budget, Decimal("0.05")).quantize(Decimal("0.0001")),
        reserve=reserve,
        spot=spot,
    )


def _schedule(random: Random) -> Schedule:
    every = random.choice((20, 50, 100, 200))
    return Schedule(
        samples=random.choice((400, 2000, 8000)),
        max_steps=random.choice((200, 1000, 3000)),
        validation_every=every,
        checkpoint_every=every,
    )


def _choice(random: Random, name: str, shared: Schedule, *, spot: bool) -> Candidate:
    rate = Decimal(str(round(random.uniform(0.3, 4.0), 2)))
    pace = random.uniform(0.1, 6.0)
    is_forecast = random.random() < 0.4
    check = random.choice((30.0, 60.0, 200.0, 300.0, 600.0))
    given = EstimateInput(
        samples=shared.samples,
        max_steps=shared.max_steps,
        validation_every=shared.validation_every,
        checkpoint_every=shared.checkpoint_every,
        seconds_per_step=pace,
        slow_seconds_per_step=pace * 40 if is_forecast else None,
        seconds_per_validation=check * random.uniform(0.5, 1.0),
        setup_seconds=600,
        teardown_seconds=110,
        price=Price(rate),
    )
    ceiling = rate * 3 if spot and random.random() < 0.5 else None
    return Candidate(f"{name}:1", estimate(given), most_hourly_usd=ceiling)


def _true_rate(random: Random, choice: Candidate) -> float:
    return random.uniform(float(choice.hourly_rate_usd), float(choice.ceiling_usd))


def _fate(random: Random, horizon: float) -> Fate:
    """What can go wrong, mostly not all of it at once."""

    def sometime() -> float:
        return random.uniform(0, horizon)

    fate = Fate(
        provisioning_seconds=random.uniform(10, 400),
        teardown_seconds=random.choice((random.uniform(96, 107), random.uniform(60, 128))),
        idle_seconds=random.uniform(620, 660),
        conclude_seconds=random.choice((3.0, random.uniform(3, 400))),
        upload_seconds=random.choice((2.0, random.uniform(1, 120))),
        is_deaf=random.random() < 0.5,
        is_announced=random.random() < 0.7,
    )
    if random.random() < 0.20:
        fate.hangs_at = sometime()
    if random.random() < 0.10:
        fate.store_stalls_at = sometime()
    if random.random() < 0.50:
        shut = sometime()
        fate.sleeps = (shut, shut + random.uniform(60, 2 * horizon))
    fate.losses = sorted(sometime() for _ in range(random.choice((0, 0, 1, 2, 4))))
    return fate


def _work(random: Random, asking: Asking, choice: Candidate) -> Work:
    given = choice.estimate.given
    setup = random.choice((90.0, 600.0, random.uniform(60, 1500), random.uniform(60, 10800)))
    stops_early = random.random() < 0.5
    return Work(
        schedule=given.schedule,
        rule=EarlyStopping(patience=given.patience or 5),
        seconds_per_step=asking.true_paces[choice.gpus],
        seconds_per_check=float(given.seconds_per_validation) * random.uniform(0.8, 2.0),
        setup_seconds=math.inf if random.random() < 0.04 else setup,
        best_until=random.randint(0, given.max_steps) if stops_early else given.max_steps,
    )


class _Run:
    """One run over all its launches, by whichever laptop."""

    def __init__(self, random: Random, asking: Asking) -> None:
        self.random, self.asking = random, asking
        self.launches: list[Launch] = []
        self.now = START
        self.step, self.billed = 0, 0.0
        self.status: Status | None = None
        self.result: Result | None = None
        self.record = record(run=RUN, infra="aws", spot=asking.spot)

    def follow(self, plan: LaunchPlan) -> Outcome:
        """Launches it again until it has ended, or nobody may or will."""
        while True:
            course = self._launch(plan)
            reason = course.reason or "nothing"
            if reason in FINAL or len(self.launches) == MOST_LAUNCHES or self.random.random() < 0.3:
                return self._outcome(reason)
            self._wait_until_nobody_is_at_work()
            try:
                plan = self._planned_again()
            except OverBudget:
                return self._outcome(reason)

    def _planned_again(self) -> LaunchPlan:
        plan = plan_resumption(
            self.asking.choices,
            self.asking.budget_usd,
            self._believed(self.now),
            self.asking.reserve,
            self.step,
        )
        self._write_down_the_end()
        return plan

    def _launch(self, plan: LaunchPlan) -> Course:
        asked = self._asked(plan)
        choice = self.random.choice(plan.choices)
        fate = _fate(self.random, float(plan.run_seconds))
        work = _work(self.random, self.asking, choice)
        launched = Launched(work, fate, self.random, self.now, asked.deadline_at)
        course = launched.on_spot(self.step) if asked.spot else launched.on_demand(self.step)
        self.step = course.saved_step
        rate = self.asking.true_rates_usd[choice.gpus]
        self.billed += sum(each.ended - each.began for each in course.instances) * rate / 3600
        self._see(asked, choice.gpus, fate, course)
        return course

    def _asked(self, plan: LaunchPlan) -> Asked:
        reserve = self.asking.reserve
        return Asked(
            run=RUN,
            launch=len(self.launches) + 1,
            asker=self.random.choice(LAPTOPS),
            requested_at=self.now,
            infra="aws",
            rates_usd={each.gpus: each.ceiling_usd for each in plan.choices},
            spot=self.asking.spot,
            deadline_at=plan.deadline_from(self.now),
            reserve_seconds=float(reserve.total_seconds),
            teardown_seconds=float(reserve.after_last_word_seconds),
        )

    def _see(self, asked: Asked, gpus: str, fate: Fate, course: Course) -> None:
        """What trainer and laptop tell the store, as far as they could."""
        ups, gones = self._sightings(asked, gpus, fate, course)
        self.launches.append(Launch(asked.launch, asked, tuple(ups), tuple(gones)))
        start, number = asked.requested_at, asked.launch
        self.status = None
        if course.heard_at is not None:
            heard = start + timedelta(seconds=course.heard_at)
            self.status = status(
                run=RUN, launch=number, gpus=gpus, phase=Phase.TRAINING, updated_at=heard,
                deadline_at=asked.deadline_at, claim=number,
            )  # fmt: skip
        self.result = None
        if course.reason is not None:
            ended = start + timedelta(seconds=course.ended_at)
            reason = StopReason(course.reason)
            self.result = result(run=RUN, launch=number, stop_reason=reason, ended_at=ended)
        last = max(each.ended for each in course.instances)
        self.now = start + timedelta(seconds=max(last, course.ended_at))

    def _sightings(
        self, asked: Asked, gpus: str, fate: Fate, course: Course
    ) -> tuple[list[Up], list[Gone]]:
        """A laptop that is awake looks now and then, and tells the ledger what is new to it."""
        launch = Launch(asked.launch, asked)
        if self.random.random() < 0.4:  # nobody looks
            return [], []
        shut, opened = fate.sleeps
        every = self.random.choice((15.0, 60.0, 900.0))
        end = max(each.ended for each in course.instances) + self.random.uniform(0, 4 * every)
        if self.random.random() < 0.3:  # or not for long
            end *= self.random.random()
        at = 0.0
        while at < end:
            at += every * self.random.uniform(0.5, 1.5)
            if shut <= at < opened:
                at = opened
            launch = _looked_at(launch, asked, gpus, course, at)
        return list(launch.ups), list(launch.gones)

    def _ledger(self) -> Ledger:
        return Ledger(tuple(self.launches))

    def _believed(self, now: datetime) -> Decimal:
        return bill_of(self._ledger(), self.record, self.status, self.result, None, now).usd

    def _wait_until_nobody_is_at_work(self) -> None:
        """As `launch` does, which refuses to launch a run again that somebody works on."""
        self.now += timedelta(seconds=self.random.choice((5.0, 900.0, 86400.0)))
        number = len(self.launches)
        while True:
            found = judge(
                self.record, self._ledger(), Claimed(number, number), self.status, self.result,
                LAPTOPS[0], self.now,
            )  # fmt: skip
            if found.whose == Whose.NO_ONES:
                return
            self.now += timedelta(seconds=300)

    def _write_down_the_end(self) -> None:
        """Before the next launch withdraws the result, the ledger keeps what it says."""
        bill = bill_of(self._ledger(), self.record, self.status, self.result, None, self.now)
        newest = self.launches[-1]
        span = bill.of_launch(newest.number)[-1]
        if span.ended is None or span.evidence != Evidence.RESULT:
            return
        end = Gone(
            run=RUN, launch=newest.number, at=span.ended, evidence=span.evidence,
            seen_by=LAPTOPS[0],
        )  # fmt: skip
        self.launches[-1] = Launch(newest.number, newest.asked, newest.ups, (*newest.gones, end))

    def _outcome(self, reason: str) -> Outcome:
        later = self.now + timedelta(days=3)
        return Outcome(
            budget_usd=float(self.asking.budget_usd),
            billed_usd=self.billed,
            believed_usd=float(self._believed(later)),
            launches=len(self.launches),
            step=self.step,
            reason=reason,
        )


def _looked_at(launch: Launch, asked: Asked, gpus: str, course: Course, at: float) -> Launch:
    """The launch in the ledger after a look, by the product's own rules."""
    now = asked.requested_at + timedelta(seconds=at)
    state = _state(asked, gpus, course, now)
    if state is None:
        return launch
    seen = sightings_of(state, RUN, asked.launch, asked.asker, now, is_exact=False)
    ledger = Ledger((launch,))
    return with_sightings(ledger, news_of(ledger, seen)).launches[0]


def _state(asked: Asked, gpus: str, course: Course, now: datetime) -> InstanceState | None:
    """What SkyPilot says then; None before there is an instance."""

    def moment(seconds: float) -> datetime:
        return asked.requested_at + timedelta(seconds=seconds)

    known = [
        Span(began=began, ended=ended if ended <= now else None, gpus=gpus)
        for each in course.instances
        for began, ended in [(moment(each.began), moment(each.ended))]
        if began <= now
    ]
    if not known:
        return None
    is_over = len(known) == len(course.instances) and known[-1].ended is not None
    phase = InstancePhase.RUNNING if known[-1].ended is None else InstancePhase.RECOVERING
    return InstanceState(
        run=RUN,
        phase=InstancePhase.GONE if is_over else phase,
        where=RUN,
        created_at=known[-1].began,
        gpus=gpus,
        spans=tuple(known) if asked.spot else (),
    )


def outcomes(runs: int, seed: int, reserve_share: Decimal = Decimal(1)) -> Iterator[Outcome]:
    """So many runs that were launched, whatever the product refused before."""
    number = seed * 1_000_000_007
    while runs > 0:
        outcome = simulate(number, reserve_share)
        number += 1
        if outcome is not None:
            runs -= 1
            yield outcome
