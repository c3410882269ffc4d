"""What is written about a launch before anything is rented: run.json's terms, ledger, journal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fintts_cli.infra.this_machine import note_process
from fintts_cli.runs.journal import JournalEntry
from fintts_cost.plan.candidate import Terms
from fintts_store.runs.ledger import Asked

if TYPE_CHECKING:
    from fintts_cli.launch.launch import Launch


def terms_of(launch: Launch) -> Terms:
    """What run.json holds besides the configuration."""
    return Terms(
        infra=launch.settings.infra or "",
        gpus=launch.plan.first.gpus,
        price=launch.plan.first.price,
        estimate=launch.plan.estimate,
        alternatives=launch.plan.choices[1:],
        spot=launch.settings.spot,
        budget_usd=launch.plan.budget_usd,
        deadline_at=launch.deadline_at,
    )


def journal_entry(launch: Launch) -> JournalEntry:
    """The journal's entry, written before anything is created."""
    return JournalEntry(
        run=launch.run,
        infra=launch.settings.infra or "",
        store=launch.store.url,
        requested_at=launch.asked_at,
        deadline_at=launch.deadline_at,
        rates_usd={each.gpus: each.ceiling_usd for each in launch.plan.choices},
        launch=launch.so_far.number,
        pid=os.getpid(),
        asked_by=note_process(os.getpid()),
    )


def ledger_entry(launch: Launch) -> Asked:
    """The ledger's record of the request, written before anything is created."""
    is_local = launch.settings.is_local
    reserve = launch.plan.reserve
    return Asked(
        run=launch.run,
        launch=launch.so_far.number,
        asker=launch.me,
        requested_at=launch.asked_at,
        infra=launch.settings.infra or "",
        rates_usd={each.gpus: each.ceiling_usd for each in launch.plan.choices},
        spot=launch.settings.spot and not is_local,
        deadline_at=launch.deadline_at,
        reserve_seconds=float(reserve.total_seconds),
        launch_patience_seconds=0.0 if is_local else launch.settings.launch_patience_seconds,
        teardown_seconds=0.0 if is_local else float(reserve.after_last_word_seconds),
        earlier=launch.so_far.earlier,
        pid=os.getpid(),
        asked_by=note_process(os.getpid()),
    )
