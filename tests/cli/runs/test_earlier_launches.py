"""What a run that goes on knows of its launches so far."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from cli_project import write_project
from fintts_cli.launch import resume
from fintts_cli.runs.bill.billing import bill_of
from fintts_cli.runs.earlier_launches import so_far
from fintts_cli.runs.instances.at_work import Claimed, Whose, judge
from fintts_cli.runs.instances.sightings import with_sightings
from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.status.listing import look_at
from fintts_cli.runs.status.merge import view_run
from fintts_cli.runs.status.view import RunView
from fintts_store.backends.directory import DirectoryStore
from fintts_store.runs.end_run import end_run
from fintts_store.runs.laptop import Laptop
from fintts_store.runs.ledger import Evidence, Launch, Ledger, take_launch
from fintts_store.runs.records import Result
from fintts_store.runs.runs import create_run
from ledger_samples import LAPTOP_C, LAPTOP_D, asked, gone, hours, up
from run_samples import MINUTE, START, record, result, status

RUN = record(run="kalevala-1", infra="aws")
FAILED_AT = START + 20 * MINUTE


def seen_by(me: Laptop, launch: Launch, ended: Result | None) -> RunView:
    now = FAILED_AT + MINUTE
    return view_run(RUN, None, ended, InstanceView(me=me), now, Ledger((launch,)))


def test_an_end_that_was_said_a_minute_ago_stays_an_end_when_it_is_withdrawn() -> None:
    """The instance is still being torn down, and another laptop launches the run again."""
    launch = Launch(1, asked(deadline_at=START + hours(10)), (up(START),))
    before = so_far(seen_by(LAPTOP_D, launch, result(launch=1, ended_at=FAILED_AT)))
    assert [(end.at, getattr(end, "evidence", None)) for end in before.ends] == [
        (FAILED_AT + 2 * MINUTE, Evidence.RESULT)
    ]
    ledger = with_sightings(Ledger((launch,)), before.ends)
    again = Launch(2, asked(2, asker=LAPTOP_D, requested_at=FAILED_AT + MINUTE))
    ledger = replace(ledger, launches=(*ledger.launches, again))
    first = bill_of(ledger, RUN, None, None, None, START + hours(20)).spans[0]
    assert first.seconds == 22 * 60
    assert before.spent_usd == first.usd, "the teardown is part of what is spent"


def test_what_fintts_train_does_after_a_launch_is_none_of_that_launch() -> None:
    """It goes on at home with a run whose rented instance is gone."""
    end = START + 30 * MINUTE
    word = gone(end, evidence=Evidence.RESULT)
    for last in (gone(end, alive_at=end), word):
        launch = Launch(1, asked(deadline_at=START + hours(10)), (up(START),), (last,))
        ledger, now = Ledger((launch,)), START + hours(3)
        home = status(launch=None, claim=2, updated_at=now)
        assert bill_of(ledger, RUN, home, None, None, now).seconds == 30 * 60
        for me in (LAPTOP_C, LAPTOP_D):
            at_work = judge(RUN, ledger, Claimed(2), home, None, me, now)
            assert (at_work.whose, at_work.launch) == (Whose.ANOTHERS, None), "nobody may end it"
            quiet = judge(RUN, ledger, Claimed(2), home, None, me, now + hours(1))
            assert quiet.whose == Whose.NO_ONES


def test_fintts_train_keeps_the_end_of_a_launch_when_it_withdraws_its_result(
    own_folder: Path,
) -> None:
    store = DirectoryStore(write_project(own_folder) / "store")
    now = datetime.now(UTC)
    launch = asked(run="mine", requested_at=now - hours(2), deadline_at=now + hours(10))
    take_launch(store, launch)
    create_run(store, record(run="mine", infra="aws"))
    ended = result(run="mine", launch=1, ended_at=now - hours(1))
    end_run(store, ended)
    view = look_at(store, "mine", lambda _run, _store: InstanceView(me=LAPTOP_D), now)
    resume.go_on(store, "mine", so_far(view).ends)
    after = look_at(store, "mine", lambda _run, _store: InstanceView(me=LAPTOP_D), now)
    assert after.bill.seconds == 3600 + 120
    assert after.at_work.whose == Whose.NO_ONES


def test_a_clock_that_is_behind_takes_nothing_from_what_is_spent() -> None:
    """Another laptop saw the end at a moment that is still to come here."""
    end = FAILED_AT + 11 * MINUTE
    launch = Launch(1, asked(), (up(START),), (gone(end, alive_at=end),))
    before = so_far(seen_by(LAPTOP_D, launch, None))
    assert before.spent_usd == Decimal("0.62")
    assert before.ends == ()


def test_a_launch_that_was_cut_before_it_rented_anything_takes_nothing_of_the_budget() -> None:
    earlier = Launch(1, asked(), (up(START),), (gone(START + 10 * MINUTE),))
    cut = Launch(2, asked(2, asker=LAPTOP_C, requested_at=START + 12 * MINUTE))
    now = START + hours(1)
    view = view_run(RUN, None, None, InstanceView(me=LAPTOP_C), now, Ledger((earlier, cut)))
    assert so_far(view).spent_usd == Decimal("0.20")
    theirs = view_run(RUN, None, None, InstanceView(me=LAPTOP_D), now, Ledger((earlier, cut)))
    assert so_far(theirs).spent_usd == view.bill.usd > Decimal("0.20")
