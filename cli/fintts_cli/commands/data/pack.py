"""`fintts data pack`: packs a data folder into one content-addressed file, as a launch does."""

from pathlib import Path
from typing import Annotated

import typer

from fintts_cli.commands.data.checked import Folder, checked_data
from fintts_cli.commands.opening import read_sources, with_base_model
from fintts_cli.commands.options import BaseModel, Config, Json, Quiet
from fintts_cli.commands.targets import refuse_unwritable
from fintts_cli.errors import ConfigError
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.units import size
from fintts_inputs.data.packing import pack_report
from fintts_store.errors import StoreError


def pack(
    folder: Folder = None,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Target folder.")] = Path(),
    base_model: BaseModel = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Pack a data folder into one file.

    The file is named after its SHA-256; a launch uploads the same file.
    """
    refuse_unwritable(to, "--to")
    terminal = Terminal(json=json, quiet=quiet)
    found = read_sources(terminal, {"data": folder, "base_model": base_model}, config)
    settings = with_base_model(terminal, found, may_download=False).settings
    report = checked_data(settings, terminal, "pack")
    try:
        packed = pack_report(report, to)
    except StoreError as error:
        raise ConfigError(error.message, "choose another folder with --to") from None
    if json:
        content = {
            "path": str(packed.path),
            "sha256": packed.sha256,
            "bytes": packed.size_bytes,
            "utterances": packed.utterances,
            "frames": packed.frames,
        }
        terminal.document(content)
        return
    terminal.data(str(packed.path))
    megabytes = size(packed.size_bytes)
    terminal.say(f"{packed.utterances:,} utterances, {packed.frames:,} frames, {megabytes}")
