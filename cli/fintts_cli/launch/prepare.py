"""Prepares a launch: checks data, model, store and earlier runs, and plans; writes nothing."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from fintts_cli.estimate.forecast import reserve_of, stop_note
from fintts_cli.estimate.gpus import choices_of, with_ceilings
from fintts_cli.estimate.run_inputs import RunInputs
from fintts_cli.launch import record as run_record
from fintts_cli.launch import resume, upload
from fintts_cli.launch.kept_data import kept_if_missing
from fintts_cli.launch.launch import Launch
from fintts_cli.launch.reporting import require_reporting
from fintts_cli.prices.places import doubtful_place
from fintts_cli.runs.earlier_launches import SoFar, so_far
from fintts_cli.runs.instances.requested import instances_of
from fintts_cli.runs.status.listing import look_at
from fintts_cli.settings.cross_checks import refuse_senseless
from fintts_cost.plan.launch import plan_launch, plan_resumption
from fintts_inputs.base_model.adapter import of_other_prompt
from fintts_inputs.hang_factor import factor_in
from fintts_inputs.prompts import of_another_prompt, prompt_begun_with
from fintts_store.runs.ledger import read_ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from fintts_cli.settings.read import ReadSettings
    from fintts_cli.workplace.workplace import Workplace
    from fintts_inputs.config_changes import Change


def prepare(
    here: Workplace,
    found: ReadSettings,
    now: datetime,
    *,
    force: bool = False,
    on_read: Callable[[int, int], None] = upload.ignore_count,
) -> Launch:
    """Checks data, model, store and earlier runs, and plans; writes nothing.

    Args:
        here: this machine.
        force: allows a run of this name to resume with another configuration if that is safe.
        on_read: as in `upload.check_inputs`.

    Raises:
        CliError, CostError, InputError, StoreError: the run cannot be launched like this.
    """
    settings, hang_factor = found.settings, factor_in()
    config = settings.run_config()
    name = settings.name or run_record.make_name(config.data, now.date())
    store = here.store_of(settings)
    kept = kept_if_missing(store, name, config.data)
    checked = upload.check_inputs(config, on_read, kept)
    shape = checked.base_model.shape
    checked = checked.beside(store)
    require_reporting(settings)
    record = run_record.existing_run(store, name)
    offered = choices_of(here, found, here.offers, RunInputs.of(here, settings, checked=checked))
    odd = (
        *refuse_senseless(offered.cheapest.facts),
        *stop_note(settings, found.origins),
        *(doubtful_place(settings) if here.is_by_sky(settings.infra) else ()),
    )
    choices = with_ceilings(offered.candidates, found, here.offers)
    changes: tuple[Change, ...] = ()
    prompt_note: str | None = None
    reserve = reserve_of(settings)
    if record is None:
        if config.initial_adapter is not None and config.initial_adapter.is_dir():
            prompt_note = of_other_prompt(config.initial_adapter, shape.prompt, shape.prompts)
        plan = plan_launch(choices, settings.budget_usd, reserve)
        before = SoFar(read_ledger(store, name).next_number)
    else:
        changes = resume.refuse_changes(store, record, config, force=force)
        begun = prompt_begun_with(record.prompt, shape.prompts)
        prompt_note = of_another_prompt(begun, shape.prompt)
        view = look_at(store, name, instances_of(here), now)
        resume.refuse_live(view)
        before = so_far(view)
        spent, done = before.spent_usd, view.step or 0
        plan = plan_resumption(choices, settings.budget_usd, spent, reserve, done)
    plan = replace(plan, left_out=(*offered.missing, *plan.left_out))
    # Each of two simultaneous launches has its own bundle.
    bundle = here.state / "bundles" / f"{name}-{secrets.token_hex(4)}"
    return Launch(
        name,
        settings,
        config,
        plan,
        store,
        bundle,
        now,
        record,
        checked,
        offered.cheapest.extras,
        changes,
        before,
        hang_factor=hang_factor,
        prompt_note=prompt_note,
        odd=odd,
        is_by_sky=here.is_by_sky(settings.infra),
    )
