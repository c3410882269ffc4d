"""What a resumed run needs to know about its earlier launches."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from fintts_cli.runs.instances.sightings import gone
from fintts_store.runs.ledger import Earlier, Evidence, Gone, Up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fintts_cli.runs.status.view import RunView
    from fintts_store.runs.ledger import Launch


@dataclass(frozen=True, slots=True)
class SoFar:
    """The launches of a run before the next one."""

    number: int = 1
    """the number of the next launch"""
    earlier: Earlier | None = None
    """the cost of instances from before the ledger existed"""
    ends: tuple[Up | Gone, ...] = ()
    """what heartbeat and result say about the newest launch; the next launch withdraws both"""
    spent_usd: Decimal = Decimal(0)
    """the cost of all launches, including a teardown in progress"""
    damaged: tuple[str, ...] = ()
    """one sentence for each ledger file that cannot be read"""


NO_LAUNCH = SoFar()


def so_far(view: RunView) -> SoFar:
    """The run's state before its next launch."""
    ledger = view.ledger
    damaged = tuple(error.message for error in ledger.damaged)
    if ledger.newest is None:
        return SoFar(1, _without_ledger(view), spent_usd=view.bill.usd, damaged=damaged)
    ends = (*view.news, *_ends(view, ledger.newest.number))
    return SoFar(ledger.next_number, None, ends, _spent_usd(view, ledger.newest), damaged)


def _spent_usd(view: RunView, newest: Launch) -> Decimal:
    unrented = newest.number if _was_cut(view, newest) else None
    spans = [span for span in view.bill.spans if span.launch != unrented]
    before = view.bill.earlier.usd if view.bill.earlier else Decimal(0)
    return before + sum((span.usd_in_the_end for span in spans), Decimal(0))


def _was_cut(view: RunView, newest: Launch) -> bool:
    """Whether the launch ended after taking its number and before its request: nothing was
    rented."""
    is_mine = newest.asked is not None and newest.asked.asker.id == view.me.id
    return is_mine and not view.is_known_here and not newest.is_known_gone


def _without_ledger(view: RunView) -> Earlier | None:
    bill = view.bill
    if not bill.seconds:
        return None
    return Earlier(seconds=bill.seconds, usd=bill.usd, is_at_most=bill.is_at_most)


def _ends(view: RunView, number: int) -> Iterator[Up | Gone]:
    newest, run, me = view.ledger.newest, view.run, view.me
    assert newest is not None
    if newest.asked is not None and _was_cut(view, newest):
        yield gone(run, number, newest.asked.requested_at, me)
    last = view.bill.of_launch(number)[-1]
    if last.gpus is not None and not newest.ups:
        yield Up(run=run, launch=number, at=last.began, gpus=last.gpus, seen_by=me)
    if last.ends_at is not None and not newest.standing_gones:
        evidence = Evidence.RESULT
        yield Gone(run=run, launch=number, at=last.ends_at, evidence=evidence, seen_by=me)
