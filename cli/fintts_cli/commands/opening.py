"""Opens what most commands need first: this machine and the settings."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from fintts_cli.places import LOCAL, cloud_of
from fintts_cli.prices.snapshot import Snapshot
from fintts_cli.prices.source import FirstToKnow
from fintts_cli.runs.journal import Journal
from fintts_cli.settings.hub_model import SCHEME, HubModel, parse
from fintts_cli.settings.read import read_settings
from fintts_cli.workplace import state_folder
from fintts_cli.workplace.equipment import equipment
from fintts_cli.workplace.known_stores import KnownStores
from fintts_cli.workplace.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from fintts_cli.infra import Infra
    from fintts_cli.prices.source import OfferSource
    from fintts_cli.settings.model import Settings
    from fintts_cli.settings.read import ReadSettings
    from fintts_cli.terminal.terminal import Terminal


def open_workplace() -> Workplace:
    """Opens this machine as FINTTS_STATE_DIR and the user's home describe it; writes nothing.

    Raises:
        ConfigError: the state folder is unknown.
    """
    state = state_folder.state_directory()
    journal, stores = Journal(state / "journal"), KnownStores(state / "stores")
    tools = equipment()
    return Workplace(
        state,
        journal,
        stores,
        tools.open_infra or infra_in,
        tools.open_offers or offers,
        tuple(INFRAS),
        tools.answers_within_seconds,
        tools.second_look_seconds,
    )


def _this_machine(state: Path) -> Infra:
    from fintts_cli.infra.local.local import LocalInfra

    return LocalInfra(state)


INFRAS: dict[str, Callable[[Path], Infra]] = {LOCAL: _this_machine}
"""the first part of `--infra` → what opens it, with the state folder; SkyPilot serves all others"""


@cache
def infra_in(state: Path, name: str) -> Infra:
    """One instance per process, which caches a cloud's answers for some seconds."""
    own = INFRAS.get(cloud_of(name))
    if own is not None:
        return own(state)
    from fintts_cli.infra.sky.sky import SkyInfra

    return SkyInfra(name, state)


def _sky_catalog() -> OfferSource:
    """SkyPilot's prices, if it is installed and has a cloud enabled."""
    from fintts_cli.infra.sky.prices.catalog import SkyCatalog

    return SkyCatalog()


SOURCES: tuple[Callable[[], OfferSource], ...] = (_sky_catalog, Snapshot)
"""the first one with prices is used; the last one is included in the program"""


def offers() -> OfferSource:
    """The prices of every source."""
    return FirstToKnow(*(source() for source in SOURCES))


def open_state(terminal: Terminal) -> None:
    """Makes sure that this machine can keep its state, before anything is uploaded.

    Raises:
        ConfigError: the state folder is not known, or cannot be written.
    """
    for sentence in state_folder.open_state():
        terminal.warn(sentence)


def read_sources(
    terminal: Terminal, options: Mapping[str, object], config: Path | None
) -> ReadSettings:
    """The settings with their origins; warns about variables that look misspelt."""
    found = read_settings(options, config=config)
    for sentence in found.warnings:
        terminal.warn(sentence)
    return found


def load_settings(
    terminal: Terminal, options: Mapping[str, object], config: Path | None
) -> Settings:
    """The settings, for a command that does not need their origins."""
    return read_sources(terminal, options, config).settings


def with_base_model(terminal: Terminal, found: ReadSettings, *, may_download: bool) -> ReadSettings:
    """The same settings, with a Hugging Face model replaced by its folder on this machine.

    Raises:
        ConfigError: the model cannot be downloaded.
    """
    model = found.settings.base_model
    if not isinstance(model, HubModel):
        return found
    from fintts_cli import hub  # its library takes as long as all else

    folder = (
        hub.download(
            model,
            terminal.say,
            shows_progress=terminal.is_live,
            with_codec=found.settings.samples.is_on,
        )
        if may_download
        else hub.cached(model)
    )
    if folder is None:
        return found
    return replace(found, settings=found.settings.model_copy(update={"base_model": folder}))


def with_recogniser(terminal: Terminal, found: ReadSettings, *, may_download: bool) -> ReadSettings:
    """The same settings, with a speech recogniser on Hugging Face replaced by its folder here.

    Raises:
        ConfigError: it cannot be downloaded.
    """
    settings = found.settings
    named = settings.eval.asr
    if named is None or not named.startswith(SCHEME) or not settings.samples.is_on:
        return found
    from fintts_cli import hub  # its library takes as long as all else

    model = parse(named)
    folder = (
        hub.download_recogniser(model, terminal.say, shows_progress=terminal.is_live)
        if may_download
        else hub.cached_recogniser(model)
    )
    if folder is None:
        return found
    measured = settings.eval.model_copy(update={"asr": str(folder)})
    return replace(found, settings=settings.model_copy(update={"eval": measured}))
