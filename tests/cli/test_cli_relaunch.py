"""What a run that goes on knows of its launches so far."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from fintts_cli.run_view import RunView, view_run
from fintts_cli.runs.billing import bill_of
from fintts_cli.runs.instance_view import InstanceView
from fintts_cli.runs.relaunch import so_far
from fintts_cli.runs.sighted import with_sightings
from fintts_store.runs.ledger import Evidence, Laptop, Launch, Ledger
from fintts_store.runs.records import Result
from ledger_samples import LAPTOP_C, LAPTOP_D, asked, gone, hours, up
from run_samples import MINUTE, START, record, result

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


def test_a_launch_that_was_cut_before_it_rented_anything_takes_nothing_of_the_budget() -> None:
    earlier = Launch(1, asked(), (up(START),), (gone(START + 10 * MINUTE),))
    cut = Launch(2, asked(2, asker=LAPTOP_C, requested_at=START + 12 * MINUTE))
    now = START + hours(1)
    view = view_run(RUN, None, None, InstanceView(me=LAPTOP_C), now, Ledger((earlier, cut)))
    assert so_far(view).spent_usd == Decimal("0.20")
    theirs = view_run(RUN, None, None, InstanceView(me=LAPTOP_D), now, Ledger((earlier, cut)))
    assert so_far(theirs).spent_usd == view.bill.usd > Decimal("0.20")
