"""What a run that goes on needs to know of its launches so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.runs.sighted import gone
from fintts_store.runs.ledger import Earlier, Evidence, Gone, Up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fintts_cli.run_view import RunView


@dataclass(frozen=True, slots=True)
class SoFar:
    """The launches of a run before the next one."""

    number: int = 1
    """that the next one takes"""
    earlier: Earlier | None = None
    """what instances cost that were asked for before there was a ledger"""
    ends: tuple[Up | Gone, ...] = ()
    """what heartbeat and result say of the newest, which the next one withdraws"""
    damaged: tuple[str, ...] = ()
    """a sentence for each file of the ledger that cannot be read"""


NO_LAUNCH = SoFar()


def so_far(view: RunView) -> SoFar:
    """The run as it is before it is launched again."""
    ledger = view.ledger
    damaged = tuple(error.message for error in ledger.damaged)
    if ledger.newest is None:
        return SoFar(1, _without_ledger(view), damaged=damaged)
    ends = (*view.news, *_ends(view, ledger.newest.number))
    return SoFar(ledger.next_number, None, ends, damaged)


def _without_ledger(view: RunView) -> Earlier | None:
    bill = view.bill
    if not bill.seconds:
        return None
    return Earlier(seconds=bill.seconds, usd=bill.usd, is_at_most=bill.is_at_most)


def _ends(view: RunView, number: int) -> Iterator[Up | Gone]:
    newest, run, me = view.ledger.newest, view.run, view.me
    assert newest is not None
    asked = newest.asked
    is_mine = asked is not None and asked.asker.id == me.id
    if asked is not None and is_mine and not view.is_known_here and not newest.is_known_gone:
        # It was cut between taking its number and asking: nothing was rented.
        yield gone(run, number, asked.requested_at, me)
    last = view.bill.of_launch(number)[-1]
    if last.gpus is not None and not newest.ups:
        yield Up(run=run, launch=number, at=last.began, gpus=last.gpus, seen_by=me)
    ended, evidence = last.ended, last.evidence
    if ended is None or evidence is None:
        return
    if evidence in (Evidence.RESULT, Evidence.HEARTBEAT):
        yield Gone(run=run, launch=number, at=ended, evidence=evidence, seen_by=me)
