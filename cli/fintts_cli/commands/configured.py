"""The estimate of `fintts estimate` without --reference-run: of the run as it is configured."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fintts_cli.commands.opening import open_workplace, read_sources, with_base_model
from fintts_cli.errors import UsageProblem
from fintts_cli.estimate.forecast import reserve_of
from fintts_cli.estimate.gpus import choices_of, other_kind, with_ceilings
from fintts_cli.estimate.missing_pace import can_measure, is_pace_missing
from fintts_cli.estimate.run_inputs import RunInputs
from fintts_cli.estimate.shown import Shown
from fintts_cli.prices.places import doubtful_place
from fintts_cli.prices.snapshot import Snapshot
from fintts_cli.settings.cross_checks import refuse_senseless
from fintts_cli.settings.option_names import KEYS, keyed, naming_origins
from fintts_cost.errors import OverBudget
from fintts_cost.plan.launch import plan_launch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fintts_cli.prices.source import OfferSource
    from fintts_cli.settings.model import Settings
    from fintts_cli.settings.read import ReadSettings
    from fintts_cli.terminal.terminal import Terminal
    from fintts_cli.workplace.workplace import Workplace
    from fintts_cost.plan.candidate import Candidate
    from fintts_cost.plan.launch import LaunchPlan


def configured_run(
    terminal: Terminal,
    changes: dict[str, object],
    others: dict[str, object],
    config: Path | None,
    *,
    measure: bool,
) -> Shown:
    """The estimate of the run that fintts.yaml and the options describe."""
    here = open_workplace()
    typed = keyed({name: value for name, value in changes.items() if name in KEYS})
    found = read_sources(terminal, typed | others, config)
    found = with_base_model(terminal, found, may_download=False)
    samples = changes["samples"]
    inputs = RunInputs.of(
        here, found.settings, samples=samples if isinstance(samples, int) else None
    )
    _measure(terminal, here, found.settings, inputs, again=measure)
    with naming_origins(found):
        each = choices_of(here, found, Snapshot, inputs)
    cheapest = each.cheapest
    odd = refuse_senseless(cheapest.facts)
    doubts = doubtful_place(found.settings) if here.is_by_sky(found.settings.infra) else ()
    for sentence in (*odd, *doubts):
        terminal.warn(sentence)
    title = "The run as configured"
    if len(each.runs) > 1:
        title += f", on {cheapest.gpus}, the cheapest for it"
    first, *dearer = each.candidates
    notes = (*cheapest.notes, *each.missing)
    budget = found.settings.budget_usd
    now = datetime.now(UTC)
    plan = _plan(each.candidates, found, Snapshot)
    other = other_kind(first, found, Snapshot)
    return Shown(
        first, title, notes, budget, tuple(dearer), cheapest.extras, plan, now, other_kind=other
    )


def _plan(
    candidates: Sequence[Candidate], found: ReadSettings, open_source: Callable[[], OfferSource]
) -> LaunchPlan | None:
    """What a launch would plan now; None if it would be refused."""
    if found.settings.is_local and found.settings.budget_usd is None:
        return None  # it ends when you want it to
    try:
        choices = with_ceilings(candidates, found, open_source)
        return plan_launch(choices, found.settings.budget_usd, reserve_of(found.settings))
    except OverBudget:
        return None


def _measure(
    terminal: Terminal, here: Workplace, settings: Settings, inputs: RunInputs, *, again: bool
) -> None:
    """Times a few steps on this machine if no run has measured them, or if you ask for it."""
    if settings.is_local:
        if again or (can_measure(settings, inputs) and is_pace_missing(here, settings, inputs)):
            from fintts_cli.estimate.dry_run import measure_pace  # it loads what a launch needs

            measure_pace(here.state, settings, inputs, terminal.say)
    elif again:
        raise UsageProblem(
            "--measure times steps on this machine, but the run is on another one",
            "add --infra local, or leave --measure out",
        )
