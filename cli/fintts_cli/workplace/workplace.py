"""This machine: its state folder, its journal, its infras, its stores and its prices. A command
opens it once and passes it on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.places import LOCAL, cloud_of
from fintts_cli.runs.laptop import this_laptop
from fintts_cli.workplace.equipment import ANSWERS_WITHIN_SECONDS, SECOND_LOOK_SECONDS
from fintts_cli.workplace.state_folder import SKY_FOLDER, SKY_LOG
from fintts_store.errors import InvalidRecord
from fintts_store.layout import is_run_name
from fintts_store.network.patience import CARRYING
from fintts_store.opening import at_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fintts_cli.infra import Infra
    from fintts_cli.prices.source import OfferSource
    from fintts_cli.runs.journal import Journal, JournalEntry
    from fintts_cli.settings.model import Settings
    from fintts_cli.workplace.known_stores import KnownStores
    from fintts_store.network.patience import Patience
    from fintts_store.runs.laptop import Laptop
    from fintts_store.store import Store


@dataclass(frozen=True, slots=True)
class Workplace:
    """One user's machine."""

    state: Path
    """the state folder"""
    journal: Journal
    """every instance that this machine requested"""
    stores: KnownStores
    """the folders that this machine has used as stores"""
    open_infra: Callable[[Path, str], Infra]
    """takes the state folder and an infra's name"""
    open_offers: Callable[[], OfferSource]
    """opens the prices; called only if no rate is set, since it takes time"""
    own_infras: tuple[str, ...] = (LOCAL,)
    """the infras besides SkyPilot, by the first part of `--infra`"""
    answers_within_seconds: float = ANSWERS_WITHIN_SECONDS
    """how long to wait for a store's answer"""
    second_look_seconds: float = SECOND_LOOK_SECONDS
    """how long to wait before a heartbeat is looked for again"""

    @property
    def sky_log(self) -> Path:
        """The file for SkyPilot's output."""
        return self.state / SKY_FOLDER / SKY_LOG

    def laptop(self, *, make: bool = False) -> Laptop:
        """This machine, as a run's ledger names it."""
        return this_laptop(self.state, make=make)

    def infra(self, name: str | None) -> Infra:
        """Where tasks run: this machine, another infra of our own, or SkyPilot with `name` in its
        own terms."""
        return self.open_infra(self.state, name or "")

    def infras(self) -> list[Infra]:
        """Every infra, SkyPilot last."""
        return [self.infra(name) for name in (*self.own_infras, None)]

    def is_by_sky(self, place: str | None) -> bool:
        """Whether SkyPilot serves the place."""
        return cloud_of(place) not in self.own_infras

    def offers(self) -> OfferSource:
        """The source of prices."""
        return self.open_offers()

    def store_url(self, settings: Settings) -> str:
        """The full address of the store in the settings, or else of a folder in the state folder;
        includes the server that AWS's own settings name.

        Raises:
            StoreError: the address is malformed, or AWS's settings cannot be used.
        """
        url = settings.store or str(self.state / "store")
        return at_endpoint(url, settings.s3_endpoint_url)

    def store_at(self, url: str, patience: Patience | None = None) -> Store:
        """The store at an address. A folder that this machine used before must still hold the same
        store."""
        return self.stores.open(url, patience or CARRYING)

    def store_of(
        self, settings: Settings, run: str | None = None, patience: Patience | None = None
    ) -> Store:
        """The store that holds the runs; for a run launched here, the store it was launched
        into."""
        # Another text is a slip, for which the store has a suggestion.
        if settings.store is None and run is not None and is_run_name(run):
            entry = self.entry(run)
            if entry is not None:
                return self.store_at(entry.store, patience)
        return self.store_at(self.store_url(settings), patience)

    def entry(self, run: str) -> JournalEntry | None:
        """The journal's entry for a run; None if it is missing or damaged."""
        with suppress(InvalidRecord):
            return self.journal.read(run)
        return None
