"""`fintts init`: writes a commented fintts.yaml."""

from pathlib import Path
from typing import Annotated

import typer

from fintts_cli.commands.options import Quiet

PROJECT_FILE = Path("fintts.yaml")
BASE_MODEL = "base model"


def init(
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of .npy and .lab files.")
    ] = None,
    base_model: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The base model: a folder, or a Hugging Face id."),
    ] = None,
    config: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")] = PROJECT_FILE,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write a commented fintts.yaml.

    Every key stands in it, with its default and its unit.
    """
    from fintts_cli.errors import ConfigError
    from fintts_cli.project_file import render_project_file
    from fintts_cli.terminal import Terminal
    from fintts_store.disk.durable import create_file, write_file
    from fintts_store.errors import StoreError

    text = render_project_file(
        _place(data, config, "data", default="data"),
        _place(base_model, config, BASE_MODEL, default="base_model"),
    )
    if not config.absolute().parent.is_dir():
        raise ConfigError(f"{config} cannot be written: there is no such folder", "make it first")
    try:
        # Whole or not at all: a full disk must not leave an empty file that is in the way.
        (write_file if force else create_file)(config, text.encode())
    except FileExistsError:
        raise ConfigError(f"{config} exists already", "--force overwrites it") from None
    except StoreError as error:
        raise ConfigError(error.message, "name another file by --config") from None
    terminal = Terminal(quiet=quiet)
    terminal.data(str(config))
    terminal.say("next: `fintts data check` and `fintts estimate`")


def _place(folder: Path | None, config: Path, what: str, *, default: str) -> str:
    """How the folder stands in the file: relative to it where it lies below it."""
    from fintts_cli.errors import ConfigError
    from fintts_cli.hub import looks_like_id

    if folder is None:
        return default
    if what == BASE_MODEL and not folder.exists() and looks_like_id(str(folder)):
        return str(folder)  # downloaded when it is needed
    if not folder.is_dir():
        raise ConfigError(f"there is no {what} folder {folder}", "give the path of a folder")
    place, home = folder.absolute(), config.absolute().parent
    return str(place.relative_to(home) if place.is_relative_to(home) else place)
