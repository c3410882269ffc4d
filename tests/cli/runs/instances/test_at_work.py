"""The one judge: whose instance is at work on a run."""

from __future__ import annotations

import pytest

from fintts_cli.runs.instances.at_work import AtWork, Claimed, Whose, judge
from fintts_store.runs.laptop import Laptop
from fintts_store.runs.ledger import Launch, Ledger
from fintts_store.runs.records import Phase, Result, Status
from ledger_samples import LAPTOP_C, LAPTOP_D, asked, gone, hours, up
from run_samples import MINUTE, START, record, result, status

RUN = record(infra="aws")
NOW = START + 10 * MINUTE
BY_C = Launch(1, asked(), (up(START),), (gone(START + MINUTE),))
BY_D = Launch(2, asked(2, asker=LAPTOP_D, requested_at=START + 2 * MINUTE))


def seen_by(
    me: Laptop,
    *launches: Launch,
    claim: Claimed | None = None,
    heard: Status | None = None,
    ended: Result | None = None,
) -> AtWork:
    return judge(RUN, Ledger(launches), claim, heard, ended, me, NOW)


def test_what_another_laptop_launched_again_is_that_laptops() -> None:
    for_c, for_d = seen_by(LAPTOP_C, BY_C, BY_D), seen_by(LAPTOP_D, BY_C, BY_D)
    assert for_c.whose == Whose.ANOTHERS
    assert for_d.whose == Whose.MINE
    assert for_c.sentence == "laptop-d launched it at 2026-11-23 09:02 UTC (launch 2)"
    assert for_c.until == "it ends at 2026-11-23 10:07 UTC at the latest"


def test_a_launch_counts_from_the_moment_its_number_was_taken() -> None:
    assert not seen_by(LAPTOP_C, BY_D).is_heard
    assert seen_by(LAPTOP_C, BY_D).is_anothers


@pytest.mark.parametrize(
    ("launch", "ended"),
    [
        (Launch(1, asked(), (), (gone(START + MINUTE),)), None),
        (Launch(1, asked()), result(launch=1, ended_at=START + MINUTE)),
        (Launch(1, asked()), result(ended_at=START + MINUTE)),
        (Launch(1, asked(deadline_at=START + MINUTE)), None),
    ],
)
def test_what_is_gone_or_has_ended_or_is_past_its_time_is_nobodys(
    launch: Launch, ended: Result | None
) -> None:
    for laptop in (LAPTOP_C, LAPTOP_D):
        assert seen_by(laptop, launch, ended=ended).whose == Whose.NO_ONES


def test_an_end_of_an_earlier_launch_is_no_end_of_this_one() -> None:
    for late in (result(launch=1, ended_at=NOW), result(ended_at=START + MINUTE)):
        assert seen_by(LAPTOP_D, BY_C, BY_D, ended=late).whose == Whose.MINE


def test_what_is_heard_after_it_was_said_to_be_gone_is_at_work() -> None:
    heard = status(launch=1, claim=1, updated_at=NOW)
    judged = seen_by(LAPTOP_D, BY_C, claim=Claimed(1, 1), heard=heard)
    assert (judged.whose, judged.is_heard) == (Whose.ANOTHERS, True)
    past = Launch(1, asked(deadline_at=START + MINUTE))
    assert seen_by(LAPTOP_D, past, claim=Claimed(1, 1), heard=heard).is_anothers


def test_the_heartbeat_of_an_instance_that_was_taken_over_does_not_count() -> None:
    zombie = status(launch=1, claim=1, updated_at=NOW)
    judged = seen_by(LAPTOP_C, BY_C, claim=Claimed(2, 2), heard=zombie)
    assert judged.whose == Whose.NO_ONES
    judged = seen_by(LAPTOP_D, BY_C, BY_D, claim=Claimed(2, 2), heard=zombie)
    assert (judged.launch, judged.is_heard) == (2, False)


def test_a_trainer_that_nobody_launched_is_at_work_while_it_is_heard() -> None:
    judged = seen_by(LAPTOP_C, heard=status(updated_at=NOW))
    assert (judged.whose, judged.launch) == (Whose.ANOTHERS, None)
    silent = status(updated_at=NOW - MINUTE)
    assert seen_by(LAPTOP_C, heard=silent).whose == Whose.NO_ONES
    over = status(updated_at=NOW, phase=Phase.STOPPING)
    assert seen_by(LAPTOP_C, heard=over).whose == Whose.NO_ONES


def test_a_launch_whose_file_is_damaged_is_of_an_unknown_laptop() -> None:
    judged = seen_by(LAPTOP_C, Launch(1, None))
    assert (judged.whose, judged.host) == (Whose.ANOTHERS, "an unknown laptop")
    later = judge(RUN, Ledger((Launch(1, None),)), None, None, None, LAPTOP_C, START + hours(9))
    assert later.whose == Whose.NO_ONES


def test_a_heartbeat_from_before_its_instance_was_gone_is_nobodys() -> None:
    """A trainer that was killed was heard a moment ago; an older one does not say its launch."""
    removed = Launch(1, asked(), (up(START),), (gone(NOW),))
    for launch in (1, None):
        heard = status(launch=launch, claim=1, updated_at=NOW - MINUTE / 10)
        judged = seen_by(LAPTOP_C, removed, claim=Claimed(1, launch), heard=heard)
        assert judged.whose == Whose.NO_ONES
