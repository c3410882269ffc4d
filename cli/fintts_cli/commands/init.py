"""`fintts init`: writes a commented fintts.yaml."""

from pathlib import Path
from typing import Annotated

import typer

from fintts_cli.commands.opening import open_workplace, read_sources, with_base_model
from fintts_cli.commands.options import NoInput, Quiet
from fintts_cli.commands.targets import refuse_unwritable
from fintts_cli.errors import CliError, ConfigError, UsageProblem
from fintts_cli.estimate.dry_run import measure_pace
from fintts_cli.estimate.first_gpus import first_gpus
from fintts_cli.estimate.missing_pace import is_pace_missing
from fintts_cli.estimate.run_inputs import RunInputs
from fintts_cli.hub import cached, describe
from fintts_cli.places import canonical_infra
from fintts_cli.prices.snapshot import Snapshot
from fintts_cli.settings.hub_model import HubModel, looks_like_id
from fintts_cli.settings.template import render_project_file
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.workplace.workplace import Workplace
from fintts_inputs.errors import InputError
from fintts_store.disk.durable import create_file, write_file
from fintts_store.errors import StoreError

PROJECT_FILE = Path("fintts.yaml")
BASE_MODEL = "base model"
ANY = "any"
"""leaves the choice of the cloud to SkyPilot"""
QUESTION = (
    "Where do you want to train? (local, a cloud such as aws or lambda, or any for the cheapest)"
)


def init(
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of .npy and .lab files.")
    ] = None,
    base_model: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Base model: a folder, or a Hugging Face id."),
    ] = None,
    infra: Annotated[
        str | None,
        typer.Option(
            metavar="local|CLOUD[/REGION[/ZONE]]|any",
            help="Where to train; init asks if you leave it out. any: the cheapest cloud.",
        ),
    ] = None,
    config: Annotated[Path, typer.Option(metavar="FILE", help="File to write.")] = PROJECT_FILE,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    quiet: Quiet = False,
    no_input: NoInput = False,
) -> None:
    """Write a commented fintts.yaml.

    The file holds every key with its default and unit. `gpus` names a GPU that the cloud rents out
    singly. For this machine (local), init trains a few steps, so that `fintts estimate` knows their
    time.
    """
    terminal = Terminal(quiet=quiet, no_input=no_input)
    here = open_workplace()
    data_place = _place(data, config, "data", default="data")
    model_place = _place(base_model, config, BASE_MODEL, default="base_model")
    _refuse_existing(config, force=force)
    place = _infra(terminal, infra)
    gpus = first_gpus(place, Snapshot())
    _write(config, render_project_file(data_place, model_place, place, gpus.gpus), force=force)
    terminal.data(str(config))
    if gpus.remark is not None:
        terminal.warn(gpus.remark, gpus.hint)
    _prepare_estimate(terminal, here, config)
    terminal.say("next: `fintts doctor`, `fintts data check`, `fintts estimate`")


def _infra(terminal: Terminal, given: str | None) -> str | None:
    """What the user typed or answered; None leaves the choice to SkyPilot.

    Raises:
        UsageProblem: it names no place.
    """
    if given is None and terminal.may_ask:
        given = terminal.ask(QUESTION, default=ANY)
    try:
        chosen = canonical_infra(ANY if given is None else given)
    except ValueError:
        raise UsageProblem(
            f"--infra is {given!r}, which is not a valid place",
            "give local, any, or a cloud as CLOUD[/REGION[/ZONE]], such as aws/us-east-1",
        ) from None
    return None if chosen in (ANY, "*") else chosen


def _refuse_existing(config: Path, *, force: bool) -> None:
    """Checks the file's place, before the user is asked anything."""
    if not config.absolute().parent.is_dir():
        raise ConfigError(
            f"{config} cannot be written because its folder does not exist", "create it first"
        )
    refuse_unwritable(config.absolute().parent, "--config")
    if config.exists() and not force:
        raise ConfigError(f"{config} exists already", "--force overwrites it")


def _write(config: Path, text: str, *, force: bool) -> None:
    try:
        # Whole or not at all: a full disk must not leave an empty file that is in the way.
        (write_file if force else create_file)(config, text.encode())
    except FileExistsError:
        raise ConfigError(f"{config} exists already", "--force overwrites it") from None
    except StoreError as error:
        raise ConfigError(error.message, "name another file with --config") from None


def _prepare_estimate(terminal: Terminal, here: Workplace, config: Path) -> None:
    """Finds out what `fintts estimate` needs: the model's shape, and the pace of this machine for a
    run here. A failure is only a warning, since the file is written already."""
    found = read_sources(terminal, {}, config)
    _describe(terminal, found.settings.base_model)
    found = with_base_model(terminal, found, may_download=False)
    inputs = RunInputs.of(here, found.settings)
    if not is_pace_missing(here, found.settings, inputs):
        return
    try:
        measure_pace(here.state, found.settings, inputs, terminal.say)
    except (CliError, InputError, StoreError) as error:
        terminal.warn(
            f"the speed of this machine could not be measured: {error.message}",
            "try again later with `fintts estimate --measure`",
        )


def _describe(terminal: Terminal, model: Path | HubModel | None) -> None:
    """Downloads what an estimate needs to know about a Hugging Face model."""
    if not isinstance(model, HubModel) or cached(model) is not None:
        return
    try:
        describe(model)
    except ConfigError as error:
        terminal.warn(error.message, error.hint)


def _place(folder: Path | None, config: Path, what: str, *, default: str) -> str:
    """The folder as the file names it: relative, if the folder is below the file's own."""
    if folder is None:
        return default
    if what == BASE_MODEL and not folder.exists() and looks_like_id(str(folder)):
        return str(folder)  # downloaded when it is needed
    if not folder.is_dir():
        raise ConfigError(
            f"the {what} folder {folder} does not exist", "give the path of an existing folder"
        )
    place, home = folder.absolute(), config.absolute().parent
    return str(place.relative_to(home) if place.is_relative_to(home) else place)
