"""The estimate of `fintts estimate` without --reference-run: of the run as it is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.commands.opening import open_workplace, read_sources, with_base_model
from fintts_cli.errors import UsageProblem
from fintts_cli.estimate.gpus import choices_of
from fintts_cli.estimate.run_inputs import RunInputs
from fintts_cli.estimate.shown import Shown
from fintts_cli.places import LOCAL
from fintts_cli.prices.places import doubtful_place
from fintts_cli.prices.snapshot import Snapshot
from fintts_cli.settings.cross_checks import refuse_senseless
from fintts_cli.settings.option_names import KEYS, keyed, naming_origins

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_cli.settings.model import Settings
    from fintts_cli.terminal import Terminal
    from fintts_cli.workplace import Workplace


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
    inputs = RunInputs.of(found.settings, samples=samples if isinstance(samples, int) else None)
    if measure:
        _measure(terminal, here, found.settings, inputs)
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
    return Shown(first, title, notes, budget, tuple(dearer), cheapest.extras)


def _measure(terminal: Terminal, here: Workplace, settings: Settings, inputs: RunInputs) -> None:
    """Times a few steps here, unless the time of a step is set."""
    from fintts_cli.estimate.dry_run import measure_pace  # numpy alone takes 0.1 s

    if settings.infra != LOCAL:
        raise UsageProblem(
            "--measure times steps on this machine, but the run goes elsewhere",
            "add --infra local, or leave --measure out",
        )
    measure_pace(here.state, settings, inputs, terminal.say)
