"""What holds of every bill, whatever was seen and whatever was not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from fintts_cli.runs.bill.billing import Bill, bill_of
from fintts_cli.runs.bill.terms import RESERVE
from fintts_store.runs.ledger import Asked, Gone, Launch, Ledger, Up
from fintts_store.runs.records import Result, Status
from ledger_samples import asked, gone, up
from run_samples import START, record, result, status

GPUS = ("A100-80GB:1", "H100:1")
RATES = {GPUS[0]: Decimal("1.20"), GPUS[1]: Decimal("3.60")}
RUN = record(infra="aws")

moments = st.integers(-3600, 6 * 3600).map(lambda seconds: START + timedelta(seconds=seconds))
later = st.integers(1, 10 * 24 * 3600).map(lambda seconds: START + timedelta(seconds=seconds))


@st.composite
def launches(draw: st.DrawFn, number: int = 1) -> Launch:
    began = START + timedelta(seconds=draw(st.integers(0, 3600)))
    terms = asked(number, requested_at=began, rates_usd=RATES, spot=draw(st.booleans()))
    gpus = draw(st.sampled_from((*GPUS, None)))
    ups = [up(at, number, gpus) for at in draw(st.lists(moments, max_size=3))]
    gones = [gone(at, number) for at in draw(st.lists(moments, max_size=3))]
    return Launch(number, terms, tuple(ups), tuple(gones))


heartbeats = st.none() | moments.map(lambda at: status(launch=1, updated_at=at))
endings = st.none() | moments.map(lambda at: result(launch=1, ended_at=at))


def bill(
    launch: Launch, heard: Status | None, ended: Result | None, now: datetime, *more: Launch
) -> Bill:
    return bill_of(Ledger((launch, *more)), RUN, heard, ended, None, now)


def terms_of(launch: Launch) -> Asked:
    assert launch.asked is not None
    return launch.asked


@given(launches(), st.none() | moments.map(lambda at: status(launch=1, updated_at=at)), later)
def test_an_instance_that_nobody_saw_end_is_never_free(
    launch: Launch, heard: Status | None, now: datetime
) -> None:
    unseen = replace(launch, gones=())
    if now > terms_of(launch).requested_at:
        assert bill(unseen, heard, None, now).usd > 0


def replacements(launch: Launch) -> tuple[Up, ...]:
    """The sightings that may be of another instance than the first."""
    return launch.ups if terms_of(launch).spot else ()


@given(launches(), heartbeats, endings, later, later)
def test_a_bill_never_falls_as_time_goes_by(
    launch: Launch, heard: Status | None, ended: Result | None, one: datetime, other: datetime
) -> None:
    """Once the times of the request and of the replacements have passed: until then they are known
    to be wrong."""
    known_from = max([terms_of(launch).requested_at, *(each.at for each in replacements(launch))])
    first, second = (max(at, known_from) for at in sorted((one, other)))
    assert bill(launch, heard, ended, first).usd <= bill(launch, heard, ended, second).usd


@given(launches(), heartbeats, endings, st.integers(0, 10**8))
def test_a_bill_does_not_rise_after_the_deadline_and_the_reserve(
    launch: Launch, heard: Status | None, ended: Result | None, seconds: int
) -> None:
    """Except for what was seen alive after it: all sightings here are within six hours."""
    latest = max(terms_of(launch).over_at, START + timedelta(hours=6) + RESERVE)
    then = bill(launch, heard, ended, latest)
    assert bill(launch, heard, ended, latest + timedelta(seconds=seconds)).usd == then.usd
    asked_alone = bill(replace(launch, ups=(), gones=()), None, None, latest)
    whole = terms_of(launch).over_at - terms_of(launch).requested_at
    assert asked_alone.seconds == whole.total_seconds()
    assert asked_alone.is_at_most
    assert asked_alone.usd == RATES["H100:1"] * Decimal(asked_alone.seconds) / 3600


@given(launches(), heartbeats, endings, later, moments)
def test_more_evidence_of_an_end_only_lowers_the_bill(
    launch: Launch, heard: Status | None, ended: Result | None, now: datetime, at: datetime
) -> None:
    before = bill(launch, heard, ended, now).usd
    seen = replace(launch, gones=(*launch.gones, gone(max(at, terms_of(launch).requested_at))))
    if not terms_of(launch).spot:  # the next instance of a spot run may begin after it
        assert bill(seen, heard, ended, now).usd <= before
    if ended is None:
        over = result(launch=1, ended_at=max(at, terms_of(launch).requested_at))
        assert bill(launch, heard, over, now).usd <= before


hour = st.integers(0, 3600).map(lambda seconds: START + timedelta(seconds=seconds))


@st.composite
def seen_in_time(draw: st.DrawFn) -> Launch:
    """Asked for at the start, and seen within the hour until its deadline."""
    ups = tuple(up(at, 1, draw(st.sampled_from((*GPUS, None)))) for at in draw(st.lists(hour)))
    gones = tuple(gone(at, alive_at=draw(st.none() | st.just(at))) for at in draw(st.lists(hour)))
    return Launch(1, asked(rates_usd=RATES, spot=draw(st.booleans())), ups, gones)


@given(
    seen_in_time(),
    st.none() | hour.map(lambda at: status(launch=1, updated_at=at, gpus=GPUS[0])),
    st.none() | hour.map(lambda at: result(launch=1, ended_at=at)),
    later,
    st.integers(1, 10 * 24 * 3600),
)
def test_a_request_by_a_fast_clock_never_lowers_the_bill(
    launch: Launch, heard: Status | None, ended: Result | None, now: datetime, fast: int
) -> None:
    """If the moment of the request lies ahead of now or of what was seen of the instance. A smaller
    error cannot be told from a late request."""
    true = terms_of(launch)
    seen = [
        *(each.at for each in launch.ups),
        *(each.at for each in launch.standing_gones),
        *([heard.updated_at] if heard else []),
    ]
    # One second after the first of them at least.
    shift = max(timedelta(seconds=fast), min([now, *seen]) - START + timedelta(seconds=1))
    asked_at, deadline_at = true.requested_at + shift, true.deadline_at + shift
    terms = true.model_copy(update={"requested_at": asked_at, "deadline_at": deadline_at})
    shifted = bill(replace(launch, asked=terms), heard, ended, now)
    assert shifted.usd >= bill(launch, heard, ended, now).usd
    assert shifted.is_at_most


@given(st.integers(1, 3600), st.integers(1, 3600), st.integers(0, 3600), st.integers(1, 10**6))
def test_a_replacement_seen_by_a_fast_clock_counts_from_the_end_of_the_instance_before(
    lasted: int, waited: int, passed: int, fast: int
) -> None:
    """As long as its time lies ahead: later it cannot be told from a late replacement."""
    gone_at = START + timedelta(seconds=lasted)
    came_at = gone_at + timedelta(seconds=waited)
    now = came_at + timedelta(seconds=passed)
    seen_at = now + timedelta(seconds=fast)
    terms = asked(rates_usd=RATES, spot=True)

    true, wrong = (
        bill(Launch(1, terms, (up(START), up(at)), (gone(gone_at),)), None, None, now)
        for at in (came_at, seen_at)
    )

    assert wrong.usd >= true.usd
    assert wrong.is_at_most
    assert wrong.spans[1].began == gone_at


@given(launches(), st.sampled_from(GPUS), later)
def test_knowing_the_gpu_only_lowers_the_bill(launch: Launch, gpus: str, now: datetime) -> None:
    unknown = replace(
        launch, ups=tuple(each.model_copy(update={"gpus": None}) for each in launch.ups)
    )
    known = replace(
        launch, ups=tuple(each.model_copy(update={"gpus": gpus}) for each in launch.ups)
    )
    assert bill(known, None, None, now).usd <= bill(unknown, None, None, now).usd


@given(launches(), launches(number=2), heartbeats, later)
def test_a_bill_is_the_sum_of_its_launches(
    first: Launch, second: Launch, heard: Status | None, now: datetime
) -> None:
    both = bill(first, heard, None, now, second)
    assert is_equal(both.usd, sum((span.usd for span in both.spans), Decimal(0)))
    alone = [bill_of(Ledger((each,)), RUN, heard, None, None, now).usd for each in (first, second)]
    assert is_equal(both.usd, sum(alone, Decimal(0)))


def is_equal(one: Decimal, other: Decimal) -> bool:
    """But for the 28th digit, which depends on the order in which amounts are added."""
    return abs(one - other) < Decimal("1e-20")


@given(launches(), heartbeats, endings, later)
def test_the_order_of_the_files_does_not_matter(
    launch: Launch, heard: Status | None, ended: Result | None, now: datetime
) -> None:
    ups: list[Up] = list(reversed(launch.ups))
    gones: list[Gone] = list(reversed(launch.gones))
    shuffled = replace(launch, ups=tuple(ups), gones=tuple(gones))
    assert bill(shuffled, heard, ended, now) == bill(launch, heard, ended, now)


@given(heartbeats, later)
def test_a_launch_whose_file_is_damaged_is_counted_as_the_whole_run(
    heard: Status | None, now: datetime
) -> None:
    damaged = bill(Launch(1, None), heard, None, now)
    assert damaged.usd >= bill(Launch(1, asked()), heard, None, now).usd > 0


def test_a_heartbeat_from_before_the_request_shows_that_its_clock_was_fast() -> None:
    """Also of a spot run whose first instance was replaced: the heartbeat may be of either."""
    second = timedelta(seconds=1)
    terms = asked(rates_usd=RATES, spot=True, requested_at=START + second)
    ups = (up(START + second), up(START + 3 * second))
    launch = Launch(1, terms, ups, (gone(START + 2 * second),))
    heard = status(launch=1, updated_at=START, gpus=GPUS[0])
    found = bill(launch, heard, None, START + 3 * second)
    assert found.is_at_most
    assert found.spans[0].seconds > 3
