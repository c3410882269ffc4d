"""Bills of runs as people know them: hung, lost, stopped, relaunched, on spot."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from fintts_cli.infra import InstancePhase, InstanceState, Span
from fintts_cli.runs.bill.billing import Bill, bill_of
from fintts_cli.runs.instances.at_work import Whose, judge
from fintts_cli.runs.instances.sightings import news_of, sightings_of, with_sightings
from fintts_store.runs.ledger import Earlier, Evidence, Launch, Ledger
from ledger_samples import LAPTOP_D, asked, gone, hours, up
from run_samples import MINUTE, START, record, result, status

RUN = record(infra="aws")
H200 = {"H200:1": Decimal("3.00"), "A100-80GB:1": Decimal("1.20")}


def test_a_set_up_that_hung_and_never_sent_a_heartbeat_is_billed_from_the_request() -> None:
    """Three hours at $1.20."""
    asked_for = asked(deadline_at=START + hours(4))
    hung = Launch(1, asked_for, (), (gone(START + hours(3), alive_at=START + hours(3)),))
    bill = bill_of(Ledger((hung,)), RUN, None, None, None, START + hours(9))
    assert bill.usd == Decimal("3.60")
    assert not bill.is_at_most
    assert bill.spans[0].evidence == Evidence.CLOUD


def test_an_instance_that_came_after_it_was_said_to_be_gone_is_not_free() -> None:
    """A launch was cut, `ps` saw nothing yet, and the cloud went on with it."""
    came = START + 2 * MINUTE
    early = Launch(1, asked(), (up(came),), (gone(START),))
    unseen = bill_of(Ledger((early,)), RUN, None, None, None, START + hours(9))
    assert (unseen.seconds, unseen.is_at_most) == (65 * 60, True)
    assert not early.is_known_gone
    end = gone(START + 30 * MINUTE, alive_at=START + 30 * MINUTE)
    assert news_of(Ledger((early,)), [end]) == (end,), "its end is news"
    seen = bill_of(with_sightings(Ledger((early,)), [end]), RUN, None, None, None, START + hours(9))
    assert (seen.seconds, seen.is_at_most) == (30 * 60, False)


LENGTHS = (timedelta(hours=3), timedelta(hours=3), timedelta(hours=2))
SHORT_RUN = record(infra="aws", deadline_at=START + LENGTHS[0])


def three_launches(damaged: set[int]) -> Ledger:
    """Asked for four hours apart: the first was seen gone, the second never, the third is up."""
    begins = [START + 4 * number * hours(1) for number in range(3)]
    terms = [
        asked(
            number,
            requested_at=began,
            deadline_at=began + length,
            spot=number == 2,
            rates_usd={"A100-80GB:1": Decimal(rate), "H100:1": Decimal("1.15")},
        )
        for number, (began, length, rate) in enumerate(
            zip(begins, LENGTHS, ("1.00", "2.50", "2.50"), strict=True), 1
        )
    ]
    seen = [((), (gone(begins[0] + hours(1), 1),)), ((), ()), ((up(begins[2], 3),), ())]
    return Ledger(
        tuple(
            Launch(each.launch, None if each.launch in damaged else each, ups, gones)
            for each, (ups, gones) in zip(terms, seen, strict=True)
        )
    )


@pytest.mark.parametrize("damaged", [{1}, {2}, {3}, {1, 2}, {1, 3}])
@pytest.mark.parametrize("is_heard", [True, False])
@pytest.mark.parametrize("has_ended", [True, False])
def test_a_damaged_file_makes_no_launch_cheaper(
    damaged: set[int], *, is_heard: bool, has_ended: bool
) -> None:
    """Its terms come from all that is known beside it, and the widest of them count."""
    third = START + 8 * hours(1)
    heard = status(launch=3, updated_at=third + hours(1), deadline_at=third + LENGTHS[2])
    ended = result(launch=3, ended_at=third + hours(1.5))
    known = (heard if is_heard else None, ended if has_ended else None)
    for now in (third + hours(0.5), third + hours(1.7), START + hours(99)):
        whole = bill_of(three_launches(set()), SHORT_RUN, *known, None, now)
        less = bill_of(three_launches(damaged), SHORT_RUN, *known, None, now)
        for number in (1, 2, 3):
            true = sum(span.usd for span in whole.of_launch(number))
            assert sum(span.usd for span in less.of_launch(number)) >= true, number
        unheard = bill_of(three_launches(damaged), SHORT_RUN, None, None, None, now)
        assert unheard.usd >= whole.usd, "nor do heartbeat and result that are damaged, too"
    later = bill_of(three_launches(damaged), SHORT_RUN, *known, None, START + hours(199))
    assert later.usd == less.usd, "it does not rise for ever"


def test_a_newest_launch_whose_file_is_damaged_may_be_at_work() -> None:
    """Long after the deadline in run.json, which is the first launch's."""
    third = START + 8 * hours(1)
    known = (three_launches({3}), None, None, None, LAPTOP_D)
    assert judge(SHORT_RUN, *known, third + hours(2)).is_anothers
    over = judge(SHORT_RUN, *known, third + hours(9))
    assert over.whose == Whose.NO_ONES, "and not for ever"


def test_two_laptops_launches_are_one_bill() -> None:
    """$13.13 by the one and $10.31 by the other are $23.44."""
    first = asked(rates_usd={"A": Decimal("13.13")}, deadline_at=START + hours(2))
    second = asked(
        2,
        asker=LAPTOP_D,
        requested_at=START + hours(2),
        rates_usd={"A": Decimal("10.31")},
        deadline_at=START + hours(4),
    )
    ends = [START + hours(1), START + hours(3)]
    launches = [
        Launch(each.launch, each, (), (gone(end, each.launch, alive_at=end),))
        for each, end in zip((first, second), ends, strict=True)
    ]
    bill = bill_of(Ledger(tuple(launches)), RUN, None, None, None, START + hours(50))
    assert bill.usd == Decimal("23.44")
    assert [span.who for span in bill.spans] == ["laptop-c", "laptop-d"]


def test_a_run_that_is_dead_for_three_days_is_billed_to_its_deadline_at_most() -> None:
    launch = Launch(1, asked(), (up(START),))
    three_days = START + hours(72)
    bill = bill_of(Ledger((launch,)), RUN, status(launch=1), None, None, three_days)
    assert bill.seconds == 65 * 60
    assert bill.is_at_most
    assert bill.spans[0].evidence == Evidence.DEADLINE
    again = bill_of(Ledger((launch,)), RUN, status(launch=1), None, None, three_days + hours(1))
    assert again == bill


def test_what_happens_between_two_launches_is_not_billed() -> None:
    """Three launches of 53 s in all are not 174 s."""
    launches = tuple(
        Launch(
            number,
            asked(number, requested_at=(began := START + number * MINUTE)),
            (up(began),),
            (gone(began + timedelta(seconds=lived), number, alive_at=began),),
        )
        for number, lived in ((1, 20), (2, 20), (3, 13))
    )
    bill = bill_of(Ledger(launches), RUN, None, None, None, START + hours(1))
    assert bill.seconds == 53


def test_the_trainers_word_is_an_end_and_a_minute_or_two_of_teardown() -> None:
    launch = Launch(1, asked(), (up(START),))
    bill = bill_of(Ledger((launch,)), RUN, None, result(launch=1), None, START + hours(9))
    assert bill.seconds == 20 * 60 + 120
    assert not bill.is_at_most
    assert bill.spans[0].evidence == Evidence.RESULT


def test_another_launchs_end_and_heartbeat_say_nothing() -> None:
    launches = (Launch(1, asked()), Launch(2, asked(2, requested_at=START + hours(2))))
    heard = status(launch=2, updated_at=START + hours(2.2))
    ended = result(launch=2, ended_at=START + hours(2.2))
    first, second = bill_of(Ledger(launches), RUN, heard, ended, None, START + hours(9)).spans
    assert (first.evidence, first.seconds) == (Evidence.DEADLINE, 65 * 60)
    assert second.evidence == Evidence.RESULT


def test_a_late_word_of_the_launch_before_ends_no_bill() -> None:
    launches = (Launch(1, asked()), Launch(2, asked(2, requested_at=START + 10 * MINUTE)))
    ended = result(launch=1, ended_at=START + 20 * MINUTE)
    first, second = bill_of(Ledger(launches), RUN, None, ended, None, START + hours(9)).spans
    assert (first.evidence, first.seconds) == (Evidence.RESULT, 22 * 60)
    assert (second.evidence, second.seconds) == (Evidence.DEADLINE, 65 * 60)


def test_the_gpu_that_it_got_sets_the_rate_and_an_unknown_one_the_dearest() -> None:
    asked_for = asked(rates_usd=H200)
    seen = Launch(1, asked_for, (up(START),))
    unseen = Launch(1, asked_for)
    now, heard = START + 10 * MINUTE, status(launch=1, gpus="A100-80GB:1")
    assert _bill(seen, now).usd == Decimal("0.20")
    assert _bill(unseen, now).usd == Decimal("0.50")
    told = bill_of(Ledger((unseen,)), RUN, heard, None, None, now)
    assert told.usd == Decimal("0.20")
    both = Launch(1, asked_for, (up(START), up(START + MINUTE, gpus="H200:1")))
    assert _bill(both, now).usd == Decimal("0.50"), "the dearer of two that were seen"


def test_an_instance_that_is_seen_after_its_time_is_billed_as_long_as_it_is_seen() -> None:
    launch = Launch(1, asked(), (up(START),))
    bill = bill_of(Ledger((launch,)), RUN, None, None, 1, START + hours(5))
    assert bill.seconds == 5 * 3600
    assert not bill.is_at_most
    removed = Launch(1, asked(), (up(START),), (gone(START + hours(5), alive_at=START + hours(5)),))
    assert _bill(removed, START + hours(6)).seconds == 5 * 3600, "it does not fall"


def test_a_spot_run_is_billed_instance_by_instance() -> None:
    sightings = (up(START), up(START + 40 * MINUTE))
    launch = Launch(1, asked(spot=True), sightings, (gone(START + 10 * MINUTE),))
    now = START + 60 * MINUTE
    bill = bill_of(Ledger((launch,)), RUN, None, None, 1, now)
    assert [span.seconds for span in bill.spans] == [600, 1200]


def test_a_spot_instance_that_nobody_saw_come_is_billed_from_the_last_ones_end() -> None:
    launch = Launch(1, asked(spot=True), (up(START),), (gone(START + 10 * MINUTE),))
    heard = status(launch=1, updated_at=START + 30 * MINUTE)
    bill = bill_of(Ledger((launch,)), RUN, heard, None, None, START + 30 * MINUTE)
    assert bill.seconds == 30 * 60


@pytest.mark.parametrize("late", [61, 64, 66, 90])
def test_a_spot_instance_that_comes_after_the_deadline_is_billed_until_it_was_seen_gone(
    late: int,
) -> None:
    """SkyPilot takes one that ended itself for lost: the one in its place outlasts the reserve of
    the launch, which was over at minute 65."""
    came = START + late * MINUTE
    gones = (gone(START + 57 * MINUTE), gone(came + 5 * MINUTE))
    launch = Launch(1, asked(spot=True), (up(START), up(came)), gones)
    assert _bill(launch, START + hours(6)).seconds == (57 + 5) * 60


def spot_job(phase: InstancePhase, *spans: Span) -> InstanceState:
    """A managed job whose instances came and went."""
    return InstanceState("kalevala-1", phase, "fintts-kalevala-1", START, spans=spans)


def looked_at(launch: Launch, state: InstanceState, now: datetime) -> Launch:
    """The launch in the ledger once somebody has looked, and what he saw is written."""
    ledger = Ledger((launch,))
    seen = sightings_of(state, "kalevala-1", 1, LAPTOP_D, now, is_exact=False)
    return with_sightings(ledger, news_of(ledger, seen)).launches[0]


def test_the_loss_of_a_spot_instance_ends_neither_bill_nor_launch_while_another_is_sought() -> None:
    """Nobody looks again: the next one may train up to the deadline."""
    lost = Span(began=START, ended=START + 10 * MINUTE, gpus="A100-80GB:1")
    then = START + 12 * MINUTE
    state = spot_job(InstancePhase.RECOVERING, lost)
    launch = looked_at(Launch(1, asked(spot=True)), state, then)
    bill = _bill(launch, START + hours(72))
    assert (bill.seconds, bill.is_at_most) == (65 * 60, True)
    assert judge(RUN, Ledger((launch,)), None, None, None, LAPTOP_D, then).is_anothers
    ended = result(launch=1, ended_at=START + 30 * MINUTE)
    told = bill_of(Ledger((launch,)), RUN, None, ended, None, START + hours(72))
    assert told.seconds == 30 * 60 + 120, "its trainer's last word does end it"


@pytest.mark.parametrize("is_over", [True, False])
def test_the_loss_of_a_spot_instance_is_told_when_another_came_or_none_comes(
    *, is_over: bool
) -> None:
    lost = Span(began=START, ended=START + 10 * MINUTE, gpus="A100-80GB:1")
    came = Span(began=START + 40 * MINUTE, ended=None, gpus="A100-80GB:1")
    now = START + 50 * MINUTE
    launch = looked_at(
        Launch(1, asked(spot=True)), spot_job(InstancePhase.RECOVERING, lost), START + 12 * MINUTE
    )
    over, goes_on = InstancePhase.GONE, InstancePhase.RUNNING
    state = spot_job(over, lost) if is_over else spot_job(goes_on, lost, came)
    bill = _bill(looked_at(launch, state, now), now)
    assert bill.seconds == (10 if is_over else 20) * 60
    assert looked_at(launch, state, now).is_known_gone == is_over


def test_what_was_billed_before_there_was_a_ledger_is_part_of_the_bill() -> None:
    before = Earlier(seconds=3600, usd=Decimal("1.20"), is_at_most=True)
    launch = Launch(1, asked(earlier=before), (up(START),), (gone(START + 60 * MINUTE),))
    bill = _bill(launch, START + hours(2))
    assert (bill.usd, bill.seconds, bill.is_at_most) == (Decimal("2.40"), 7200, True)


def test_a_clock_that_is_wrong_bills_nothing_that_is_still_to_come() -> None:
    launch = Launch(1, asked(), (up(START),))
    ahead = status(launch=1, updated_at=START + hours(50))
    bill = bill_of(Ledger((launch,)), RUN, ahead, None, None, START + MINUTE)
    assert bill.seconds == 60
    now = START + hours(3)
    late = bill_of(Ledger((launch,)), RUN, ahead, None, None, now)
    assert late.spans[0].ended == now, "nor does it go on into the future"


def _bill(launch: Launch, now: datetime) -> Bill:
    return bill_of(Ledger((launch,)), RUN, None, None, None, now)
