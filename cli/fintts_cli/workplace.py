"""What this machine has: the folder of what it remembers, its journal, its infras, its stores and
its prices. A command opens it once and hands it down."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from fintts_cli.known_stores import KnownStores
from fintts_cli.prices.snapshot import Snapshot
from fintts_cli.runs.journal import Journal
from fintts_cli.runs.laptop import this_laptop
from fintts_cli.state_folder import state_directory
from fintts_store.errors import InvalidRecord
from fintts_store.layout import check_run_name
from fintts_store.opening import at_endpoint
from fintts_store.patience import CARRYING

if TYPE_CHECKING:
    from pathlib import Path

    from fintts_cli.infra import Infra
    from fintts_cli.prices.source import OfferSource
    from fintts_cli.runs.journal import JournalEntry
    from fintts_cli.settings.model import Settings
    from fintts_store.patience import Patience
    from fintts_store.runs.ledger import Laptop
    from fintts_store.store import Store


@dataclass(frozen=True, slots=True)
class Workplace:
    """One machine of one user."""

    state: Path
    """the folder of what this machine remembers"""
    journal: Journal
    """every instance that was asked for from here"""
    stores: KnownStores
    """the folders that this machine has used as stores"""

    @property
    def sky_log(self) -> Path:
        """Where SkyPilot's own words go."""
        from fintts_cli.infra.sky.sky import LOG_FILE

        return self.state / "sky" / LOG_FILE

    def laptop(self, *, make: bool = False) -> Laptop:
        """This machine, as the ledger of a run names it."""
        return this_laptop(self.state, make=make)

    def infra(self, name: str | None) -> Infra:
        """Where tasks run: this machine, or what SkyPilot makes of `name`, its own term."""
        return _infra_in(self.state, name or "")

    def offers(self) -> OfferSource:
        """SkyPilot's prices, where it is installed and may use a cloud; else those that come with
        the program."""
        from fintts_cli.infra.sky.catalog import SkyCatalog
        from fintts_cli.prices.source import FirstToKnow

        return FirstToKnow(SkyCatalog(), Snapshot())

    def store_url(self, settings: Settings) -> str:
        """The whole address of the store that is set, else of a folder beside what this machine
        remembers; the server that AWS's own settings name is in it.

        Raises:
            StoreError: the address is malformed, or those settings cannot be used.
        """
        url = settings.store or str(self.state / "store")
        return at_endpoint(url, settings.s3_endpoint_url)

    def store_at(self, url: str, patience: Patience | None = None) -> Store:
        """The store at an address. A folder that this machine has used as one must still be it."""
        return self.stores.open(url, patience or CARRYING)

    def store_of(
        self, settings: Settings, run: str | None = None, patience: Patience | None = None
    ) -> Store:
        """The store that holds the runs; of a run that was launched here, the one it was given."""
        if settings.store is None and run is not None:
            entry = self.entry(check_run_name(run))
            if entry is not None:
                return self.store_at(entry.store, patience)
        return self.store_at(self.store_url(settings), patience)

    def entry(self, run: str) -> JournalEntry | None:
        """The journal's entry of a run; None where there is none, or it is damaged."""
        with suppress(InvalidRecord):
            return self.journal.read(run)
        return None


def open_workplace() -> Workplace:
    """This machine, as FINTTS_STATE_DIR and the user's home describe it; nothing is written.

    Raises:
        ConfigError: the folder of what it remembers is not known.
    """
    state = state_directory()
    return Workplace(state, Journal(state / "journal"), KnownStores(state / "stores"))


@cache
def _infra_in(state: Path, name: str) -> Infra:
    """One for each process: it remembers for some seconds what a cloud has answered."""
    from fintts_cli.infra.local.local import LocalInfra
    from fintts_cli.infra.sky.sky import SkyInfra
    from fintts_cli.places import LOCAL

    return LocalInfra(state) if name == LOCAL else SkyInfra(name, state)
