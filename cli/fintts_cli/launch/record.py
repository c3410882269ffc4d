"""A run's name and its record in the store: run.json, written once, and its revisions."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from fintts_cli.errors import UsageProblem
from fintts_cost import __version__
from fintts_cost.estimate.document import document
from fintts_store.errors import KeyExists, KeyNotFound
from fintts_store.runs.run_record import PriceRef, RentalRef, Revision, RunRecord
from fintts_store.runs.runs import (
    create_revision,
    create_run,
    read_run,
)

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

    from fintts_cli.launch.upload import Inputs
    from fintts_cost.money import Price
    from fintts_cost.plan.candidate import Terms
    from fintts_inputs.config import RunConfig
    from fintts_inputs.config_changes import Change
    from fintts_store.store import Store
from fintts_cli.launch.resume import ANOTHER_NAME

LONGEST_STEM = 24


def make_name(data: Path, today: date, token: str | None = None) -> str:
    """kalevala-20261123-a1b2, from the data folder's name; a folder named `data` counts by its
    parent."""
    token = token or secrets.token_hex(2)
    folder = data.absolute()
    stem = folder.parent.name if folder.name.lower() in ("data", "dataset") else folder.name
    plain = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:LONGEST_STEM].strip("-")
    return f"{plain or 'run'}-{today:%Y%m%d}-{token}"


def existing_run(store: Store, name: str) -> RunRecord | None:
    """The run of this name, if it exists.

    Raises:
        UsageProblem: it does not, and a new run cannot have that name.
    """
    try:
        return read_run(store, name)
    except KeyNotFound:
        if name.startswith("-"):  # which a command would take for an option
            raise UsageProblem(
                f"a run cannot be called {name}: its name begins with a letter or a digit",
                f"name it such as {name.strip('-') or 'kalevala-2'}",
            ) from None
        return None


def revise(
    store: Store, record: RunRecord, config: RunConfig, changes: tuple[Change, ...], now: datetime
) -> int | None:
    """Writes the changed configuration next to run.json; returns its number, None if nothing
    changes.

    Raises:
        UsageProblem: another launch changed it after the comparison.
        StoreError: the store cannot be written.
    """
    if not changes:
        return None
    revision = Revision(
        run=record.run,
        number=record.revision + 1,
        created_at=now,
        fintts_version=__version__,
        config=config.model_dump(mode="json"),
        changes=tuple(str(change) for change in changes),
    )
    try:
        create_revision(store, revision)
    except KeyExists:
        raise UsageProblem(
            f"another launch just changed the configuration of run {record.run}",
            "run the same command again to compare with the new configuration",
        ) from None
    return revision.number


def begin(
    store: Store,
    name: str,
    config: RunConfig,
    inputs: Inputs,
    terms: Terms,
    now: datetime,
    bundle_digest: str | None = None,
) -> RunRecord:
    """Writes run.json.

    Raises:
        UsageProblem: another launch has just started a run of this name.
        StoreError: the store cannot be written.
    """
    alternatives = [
        RentalRef(gpus=each.gpus, price=_frozen(each.price), estimate=document(each.estimate))
        for each in terms.alternatives
    ]
    record = RunRecord(
        run=name,
        created_at=now,
        fintts_version=__version__,
        bundle_digest=bundle_digest,
        config=config.model_dump(mode="json"),
        dataset=inputs.dataset,
        recordings=inputs.recordings,
        base_model=inputs.base_model,
        prompt=inputs.prompt.name,
        initial_adapter=inputs.initial_adapter,
        codec=inputs.codec,
        eval_models=inputs.eval_models,
        price=_frozen(terms.price),
        budget_usd=terms.budget_usd,
        deadline_at=terms.deadline_at,
        estimate={} if terms.estimate is None else document(terms.estimate),
        infra=terms.infra,
        gpus=terms.gpus,
        alternatives=tuple(alternatives),
        spot=terms.spot,
    )
    try:
        create_run(store, record)
    except KeyExists:
        raise UsageProblem(
            f"another launch just started run {name}",
            f"`fintts cloud watch {name}` shows it; give a new {ANOTHER_NAME}",
        ) from None
    return record


def _frozen(price: Price) -> PriceRef:
    return PriceRef(hourly_rate_usd=price.hourly_rate_usd, source=price.source, as_of=price.as_of)
