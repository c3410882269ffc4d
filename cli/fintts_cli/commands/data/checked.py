"""Opens the data folder for the commands of this group: against the base model, if it is here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.errors import ConfigError
from fintts_cli.settings.hub_model import HubModel
from fintts_inputs.base_model.families import read_config
from fintts_inputs.data.check import check_folder

if TYPE_CHECKING:
    from fintts_cli.settings.model import Settings
    from fintts_cli.terminal.terminal import Terminal
    from fintts_inputs.base_model.families import BaseModelConfig
    from fintts_inputs.data.check import DataReport

Folder = Annotated[
    Path | None, typer.Argument(metavar="DIR", help="Default: the configured folder.")
]
UNCHECKED = "so the codes are not checked against its codebooks"


def checked_data(settings: Settings, terminal: Terminal, command: str) -> DataReport:
    """The configured folder, every file of it read once.

    Args:
        command: the name of the command below `fintts data`, for the hint.

    Raises:
        ConfigError: no data folder is configured.
        InputError: the folder cannot be opened, or config.json of the base model is damaged.
    """
    if settings.data is None:
        raise ConfigError("no data folder is given", f"give one: `fintts data {command} DIR`")
    base = _base_model(settings.base_model, terminal)
    return check_folder(settings.data, None if base is None else base.shape)


def _base_model(named: Path | HubModel | None, terminal: Terminal) -> BaseModelConfig | None:
    """The base model that the codes are compared with; None if it is not here, and says so."""
    if named is None:
        terminal.say(f"no base model is set, {UNCHECKED}")
    elif isinstance(named, HubModel):
        terminal.warn(f"the base model {named} is not on this machine yet, {UNCHECKED}")
    elif not named.exists():
        terminal.warn(f"the base model folder {named} does not exist, {UNCHECKED}")
    else:
        return read_config(named)
    return None
